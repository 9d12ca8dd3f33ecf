// A rotation function in Node.js: the four steps for a secret that nobody else has to know of.
import { call } from "./signed.mjs";

const steps = {
  async createSecret(SecretId, token) {
    await call("GetSecretValue", { SecretId, VersionStage: "AWSCURRENT" });
    try {
      await call("GetSecretValue", { SecretId, VersionId: token, VersionStage: "AWSPENDING" });
    } catch (missing) {
      if (missing.name !== "ResourceNotFoundException") throw missing;
      const { RandomPassword } = await call("GetRandomPassword", { PasswordLength: 40, ExcludePunctuation: true });
      console.log("made", RandomPassword);
      const SecretString = JSON.stringify({ password: RandomPassword });
      await call("PutSecretValue", { SecretId, ClientRequestToken: token, SecretString, VersionStages: ["AWSPENDING"] });
    }
  },
  async setSecret() {},
  async testSecret(SecretId, token) {
    const { SecretString } = await call("GetSecretValue", { SecretId, VersionId: token, VersionStage: "AWSPENDING" });
    if (JSON.parse(SecretString).password.length !== 40) throw new Error("this is not what was made");
  },
  async finishSecret(SecretId, token) {
    const { VersionIdsToStages } = await call("DescribeSecret", { SecretId });
    const [before] = Object.entries(VersionIdsToStages).find(([, labels]) => labels.includes("AWSCURRENT"));
    if (before === token) return;
    const moved = { SecretId, VersionStage: "AWSCURRENT", MoveToVersionId: token, RemoveFromVersionId: before };
    await call("UpdateSecretVersionStage", moved);
  },
};

export const handler = async ({ SecretId, ClientRequestToken, Step }) => {
  console.log("step", Step);
  await steps[Step](SecretId, ClientRequestToken);
};
