// The runtime of functions in Node.js: it finds the handler, fetches the event, calls, and tells the answer. Runs inside the sandbox.
//
// Where a function can tell, it does what AWS's runtime client does: which file is the handler's, what `context` has, when an answer goes
// out, how errors are named, what console prints. Source: "Define Lambda function handler in Node.js" and "Using the Lambda runtime API",
// developer guide; aws-lambda-ric 3.3 and 4.0. There is one event, because there is one sandbox for each invocation.

import fs from "node:fs";
import http from "node:http";
import module from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { format } from "node:util";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const ROOT = process.env.LAMBDA_TASK_ROOT;
const HANDLER = process.env._HANDLER;
const NUMBER = Number(/nodejs(\d+)/.exec(process.env.AWS_EXECUTION_ENV)?.[1]); // of the runtime that the function asked for
const WITHOUT_CALLBACKS = 24;

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 }); // its idle connection does not keep the process alive
const print = process.stdout.write.bind(process.stdout);

let requestId = "-";
let whenIdle = null; // what is done when the function waits for nothing any more

// -- errors ----------------------------------------------------------------------------------------------------------

function named(name) {
  const made = class extends Error {};
  made.prototype.name = `Runtime.${name}`;
  return made;
}

const MalformedHandlerName = named("MalformedHandlerName");
const HandlerNotFound = named("HandlerNotFound");
const ImportModuleError = named("ImportModuleError");
const UserCodeSyntaxError = named("UserCodeSyntaxError");
const UnhandledPromiseRejection = named("UnhandledPromiseRejection");
const JSONStringifyError = named("JSONStringifyError");
const CallbackHandlerDeprecated = named("CallbackHandlerDeprecated");

/** An error as Lambda answers it. Whatever was thrown: it may be anything, and it may throw in turn. */
function told(error) {
  try {
    if (error instanceof Error) {
      return {
        errorType: String(error.name),
        errorMessage: String(error.message),
        trace: typeof error.stack === "string" ? error.stack.split("\n") : [],
      };
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch {
    const why = "there was a problem while retrieving one or more of its message, name, and stack";
    return { errorType: "handled", errorMessage: `callback called with Error argument, but ${why}`, trace: [] };
  }
}

function logError(what, error) {
  const { errorType, errorMessage, trace } = told(error);
  let more = {};
  try {
    more = error instanceof Error ? JSON.parse(JSON.stringify(error)) : {};
  } catch {
    // what else it has cannot be written down: its name, message and stack are there
  }
  complain(`${what} \t${JSON.stringify({ errorType, errorMessage, ...more, stack: trace })}`);
}

/** Whatever it is as a text. */
function textOf(value) {
  try {
    return String(value);
  } catch {
    return typeof value;
  }
}

// -- the log ---------------------------------------------------------------------------------------------------------

function printer(level) {
  return (message, ...more) => {
    print(`${new Date().toISOString()}\t${requestId}\t${level}\t${format(message, ...more)}\n`);
  };
}

for (const level of ["trace", "debug", "info", "warn", "error", "fatal"]) {
  console[level] = printer(level.toUpperCase());
}
console.log = console.info;
const complain = printer("ERROR"); // console is the function's to change

// -- the Runtime API -------------------------------------------------------------------------------------------------

/** What the server answers. Rejects with the error of the connection. */
function ask(method, place, body) {
  const content = body === undefined ? undefined : Buffer.from(body);
  const headers = content ? { "Content-Type": "application/json", "Content-Length": content.length } : {};
  return new Promise((resolve, reject) => {
    const asked = http.request({ host, port, agent, method, headers, path: `/2018-06-01/runtime/${place}` }, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("end", () => resolve({ headers: answer.headers, body: Buffer.concat(chunks).toString("utf-8") }));
      answer.on("error", reject);
    });
    asked.on("error", reject);
    asked.end(content);
  });
}

/** The invocation has failed with `error`: before the event was there, or with it. */
function report(error) {
  return ask("POST", requestId === "-" ? "init/error" : `invocation/${requestId}/error`, JSON.stringify(told(error)));
}

function answer(result) {
  let text;
  try {
    text = JSON.stringify(result === undefined ? null : result);
  } catch {
    return fail(new JSONStringifyError("Unable to stringify response body"));
  }
  return ask("POST", `invocation/${requestId}/response`, text === undefined ? "null" : text);
}

function fail(error) {
  logError("Invoke Error", error);
  return report(error);
}

// -- the handler -----------------------------------------------------------------------------------------------------

/** Where `HANDLER` says that it is: a directory below the package, a module in it, names inside the module. */
function parsed() {
  if (HANDLER.includes("..")) {
    const advice = "Use absolute paths when specifying root directories in handler names.";
    throw new MalformedHandlerName(`'${HANDLER}' is not a valid handler name. ${advice}`);
  }
  const last = path.basename(HANDLER);
  const found = /^([^.]*)\.(.*)$/.exec(last);
  if (!found) throw new MalformedHandlerName("Bad handler");
  return { directory: HANDLER.slice(0, HANDLER.indexOf(last)), file: found[1], names: found[2].split(".") };
}

function isFile(name) {
  return fs.statSync(name, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** Whether the package.json that is nearest to `directory` says that its .js files are ES modules. */
function saysModule(directory) {
  for (let at = directory; ; at = path.dirname(at)) {
    const name = path.join(at, "package.json");
    if (isFile(name)) return JSON.parse(fs.readFileSync(name, "utf-8")).type === "module";
    if (at === ROOT || at === path.dirname(at)) return false;
  }
}

async function load({ directory, file }) {
  const base = path.resolve(ROOT, directory, file);
  const require = module.createRequire(path.join(ROOT, "/"));
  const modules = saysModule(path.dirname(base));
  try {
    if (isFile(base)) return require(base);
    if (isFile(`${base}.js`) && !modules) return require(`${base}.js`);
    for (const name of [`${base}.js`, `${base}.mjs`]) {
      if (isFile(name)) {
        letImportsFindLayers();
        return await import(pathToFileURL(name).href);
      }
    }
    if (isFile(`${base}.cjs`)) return require(`${base}.cjs`);
    return require(require.resolve(file, { paths: [ROOT, path.join(ROOT, directory)] }));
  } catch (error) {
    if (error instanceof SyntaxError) {
      const wrong = new UserCodeSyntaxError(String(error));
      wrong.stack = error.stack;
      throw wrong;
    }
    if (error?.code === "MODULE_NOT_FOUND") throw new ImportModuleError(String(error));
    throw error;
  }
}

/** `import` looks where `require` does: Node.js itself passes NODE_PATH over, Lambda does not. */
function letImportsFindLayers() {
  const there = (process.env.NODE_PATH ?? "").split(":").filter((each) => path.basename(each) === "node_modules" && fs.existsSync(each));
  if (there.length) module.register?.("./imports.mjs", { parentURL: import.meta.url, data: there });
}

function pick(found, names) {
  const within = (start) => names.reduce((at, name) => (at && typeof at === "object" ? at[name] : undefined), start);
  const handler = within(found) ?? within(found?.default);
  if (!handler) throw new HandlerNotFound(`${HANDLER} is undefined or not exported`);
  if (typeof handler !== "function") throw new HandlerNotFound(`${HANDLER} is not a function`);
  if (NUMBER >= WITHOUT_CALLBACKS && handler.length >= 3) {
    throw new CallbackHandlerDeprecated(
      "ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You need to modify this " +
        "function to use a supported handler signature to use Node.js 24 or later. For more information see " +
        "https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.",
    );
  }
  return handler;
}

// -- the invocation --------------------------------------------------------------------------------------------------

function contextOf(headers) {
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  const client = headers["lambda-runtime-client-context"];
  return {
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: client ? JSON.parse(client) : undefined,
    identity: undefined,
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    awsRequestId: requestId,
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

function isPromise(value) {
  return typeof value?.then === "function";
}

/** The ways that a handler has to answer without a promise; the first one that it takes counts. */
function waysToAnswer(context) {
  let answered = false;
  const first = (way) => (...given) => {
    if (answered) return;
    answered = true;
    whenIdle = null;
    way(...given);
  };
  const done = (error, result) => (error === undefined || error === null ? answer(result) : fail(error));
  const callback = first((error, result) => {
    if ((error === undefined || error === null) && context.callbackWaitsForEmptyEventLoop) whenIdle = () => answer(result);
    else done(error, result);
  });
  context.callbackWaitsForEmptyEventLoop = true;
  context.done = first(done);
  context.succeed = first((result) => answer(result));
  context.fail = first((error) => fail(error ?? "handled"));
  return callback;
}

async function invoke(handler) {
  const { headers, body } = await ask("GET", "invocation/next");
  requestId = headers["lambda-runtime-aws-request-id"];
  const context = contextOf(headers);
  whenIdle = () => answer(null);
  if (NUMBER >= WITHOUT_CALLBACKS) {
    try {
      const result = await handler(JSON.parse(body), context);
      whenIdle = null;
      return await answer(result);
    } catch (error) {
      whenIdle = null;
      return await fail(error);
    }
  }
  const callback = waysToAnswer(context);
  try {
    const result = handler(JSON.parse(body), context, callback);
    if (isPromise(result)) result.then(context.succeed, context.fail).catch(context.fail);
  } catch (error) {
    context.fail(error);
  }
}

/** Nothing goes on after this: the server is told, and the process ends with the status that AWS's has. */
function give(what, error, status) {
  whenIdle = null;
  logError(what, error);
  report(error).finally(() => process.exit(status));
}

process.on("uncaughtException", (error) => give("Uncaught Exception", error, 129));
process.on("unhandledRejection", (reason) => {
  give("Unhandled Promise Rejection", new UnhandledPromiseRejection(textOf(reason)), 128);
});
process.on("beforeExit", () => {
  const then = whenIdle;
  whenIdle = null;
  then?.();
});

try {
  const asked = parsed();
  const handler = pick(await load(asked), asked.names);
  await invoke(handler);
} catch (error) {
  logError("Init Error", error);
  await report(error);
  process.exit(1);
}
