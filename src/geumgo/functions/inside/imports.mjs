// Lets `import` find what layers bring: packages below the directories of NODE_PATH, which Node.js looks at for `require` alone.
//
// Source: "Packaging Node.js functions", Lambda developer guide (NODE_PATH is looked at for ES modules too).

import path from "node:path";
import { pathToFileURL } from "node:url";

let directories = []; // each is called node_modules

export function initialize(given) {
  directories = given;
}

export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (fault) {
    if (fault?.code !== "ERR_MODULE_NOT_FOUND" || !isPackage(specifier)) throw fault;
    for (const directory of directories) {
      const beside = pathToFileURL(path.join(path.dirname(directory), "import.mjs")).href; // from there it is looked for in `directory`
      try {
        return await next(specifier, { ...context, parentURL: beside });
      } catch (missing) {
        if (missing?.code !== "ERR_MODULE_NOT_FOUND") throw missing;
      }
    }
    throw fault;
  }
}

function isPackage(specifier) {
  return !/^(\.{0,2}\/|[a-z][a-z0-9+.-]*:)/i.test(specifier);
}
