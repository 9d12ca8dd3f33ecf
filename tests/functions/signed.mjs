// Calls Secrets Manager as the function's role, with nothing but what Node.js has: Signature Version 4.
import { createHash, createHmac } from "node:crypto";

const hash = (text) => createHash("sha256").update(text).digest("hex");
const mac = (key, text) => createHmac("sha256", key).update(text).digest();

export async function call(operation, input) {
  const { AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env;
  const body = JSON.stringify(input);
  const at = new Date().toISOString().replace(/[-:]|\.\d{3}/g, "");
  const headers = {
    "content-type": "application/x-amz-json-1.1",
    host: new URL(AWS_ENDPOINT_URL).host,
    "x-amz-date": at,
    "x-amz-security-token": AWS_SESSION_TOKEN,
    "x-amz-target": `secretsmanager.${operation}`,
  };
  const names = Object.keys(headers).sort();
  const canonical = ["POST", "/", "", ...names.map((name) => `${name}:${headers[name]}`), "", names.join(";"), hash(body)].join("\n");
  const scope = `${at.slice(0, 8)}/${AWS_REGION}/secretsmanager/aws4_request`;
  const key = scope.split("/").reduce(mac, `AWS4${AWS_SECRET_ACCESS_KEY}`);
  const signature = mac(key, `AWS4-HMAC-SHA256\n${at}\n${scope}\n${hash(canonical)}`).toString("hex");
  const credential = `Credential=${AWS_ACCESS_KEY_ID}/${scope}`;
  headers.authorization = `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
  const answer = await fetch(AWS_ENDPOINT_URL, { method: "POST", headers, body });
  const found = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(found.message ?? found.Message), { name: found.__type.split("#").pop() });
  return found;
}
