"""Functions in Node.js: found, called and answered as on Lambda, inside the same walls as those in Python."""

import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from geumgo.functions import NotRun, Outcome, runtimes
from geumgo.functions.fetched import learn
from geumgo.functions.host import Host, to_server
from geumgo.functions.reach import Rules
from tests.functions.node import RUNTIME, needs_node, node_package
from tests.functions.test_host import nowhere, task
from tests.functions.test_network import echo, served
from tests.functions.zips import package

pytestmark = needs_node


def invoke(directory: Path, code: str, name: str = "app.js", *, host: Host | None = None, **more: Any) -> Outcome:
    """`code` as the file `name` of a function that has handled an empty event."""
    made = {"code": node_package(code, name, **more.pop("files", {})), "runtime": RUNTIME, **more}
    return (host or Host(nowhere, Rules(), directory=directory, most=1)).run(replace(task(), **made))


@pytest.mark.parametrize(
    ("code", "name", "answer"),
    [
        ("exports.handler = async (event) => ({ got: event });", "app.js", {"got": {"a": "é"}}),
        ("export const handler = async (event) => event.a;", "app.mjs", "é"),
        ("exports.handler = async () => 1;", "app.cjs", 1),
        ("exports.handler = (event, context, callback) => { setTimeout(() => callback(null, [2]), 5); };", "app.js", [2]),
        ("exports.handler = (event, context, callback) => { callback(null, 'first'); callback(null, 'second'); };", "app.js", "first"),
        ("exports.handler = (event, context) => { setTimeout(() => context.succeed(3), 5); };", "app.js", 3),
        ("exports.handler = (event, context) => context.done(null, 4);", "app.js", 4),
        ("exports.handler = () => 'is passed over';", "app.js", None),
        ("exports.handler = async () => {};", "app.js", None),
        ("exports.handler = () => ({ then: (kept) => kept('a thenable') });", "app.js", "a thenable"),
        ("module.exports = { handler: async () => process.cwd() };", "app.js", "/var/task"),
        ("export default { handler: async () => 'by default' };", "app.mjs", "by default"),
        ("const late = await new Promise((kept) => setTimeout(kept, 5, 'late')); export const handler = async () => late;", "app.mjs", "late"),
    ],
)  # fmt: skip
def test_a_handler_answers_in_whatever_form_it_is_written(tmp_path: Path, code: str, name: str, answer: Any) -> None:
    outcome = invoke(tmp_path, code, name, event='{"a":"é"}'.encode())
    assert (json.loads(outcome.payload), outcome.failed) == (answer, False), outcome.log.decode()


@pytest.mark.parametrize(
    ("handler", "files"),
    [
        ("src/deep/app.main", {"src/deep/app.js": "exports.main = async () => 'found';"}),
        ("app.api.v1.main", {"app.js": "exports.api = { v1: { main: async () => 'found' } };"}),
        ("app.main", {"app.js": "export const main = async () => 'found';", "package.json": '{"type":"module"}'}),
        ("src/app.main", {"src/app.js": "export const main = async () => 'found';", "package.json": '{"type":"module"}'}),
        ("app.main", {"app.cjs": "exports.main = async () => 'found';", "package.json": '{"type":"module"}'}),
        ("app.main", {"app.js": "exports.main = async () => 'found';", "app.mjs": "throw new Error('not this one');"}),
        ("mine.main", {"node_modules/mine/index.js": "exports.main = async () => 'found';"}),
    ],
)  # fmt: skip
def test_a_handler_is_found_where_lambda_looks_for_it(tmp_path: Path, handler: str, files: dict[str, str]) -> None:
    outcome = invoke(tmp_path, "", "unused.txt", files=files, handler=handler)
    assert json.loads(outcome.payload) == "found", outcome.log.decode()


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("exports.handler = async () => { throw new RangeError('no luck'); };", "RangeError", "no luck"),
        ("exports.handler = () => { throw new RangeError('no luck'); };", "RangeError", "no luck"),
        ("exports.handler = (e, c, callback) => callback(new TypeError('no luck'));", "TypeError", "no luck"),
        ("exports.handler = (e, c, callback) => callback('a text');", "string", "a text"),
        ("exports.handler = (e, context) => context.fail();", "string", "handled"),
        ("exports.handler = async () => { throw { toString() { throw 1; } }; };", "handled", "there was a problem"),
        ("exports.handler = (e, c, callback) => { setTimeout(() => { throw new Error('later'); }, 5); };", "Error", "later"),
        ("exports.handler = (e, c, callback) => { Promise.reject(new Error('nobody waits')); };", "Runtime.UnhandledPromiseRejection",
         "Error: nobody waits"),
        ("exports.handler = async () => 1n;", "Runtime.JSONStringifyError", "Unable to stringify response body"),
        ("require('nothing-like-that');", "Runtime.ImportModuleError", "Error: Cannot find module 'nothing-like-that'"),
        ("exports.other = 1;", "Runtime.HandlerNotFound", "app.handler is undefined or not exported"),
        ("exports.handler = 1;", "Runtime.HandlerNotFound", "app.handler is not a function"),
        ("exports.handler = async ( => 1;", "Runtime.UserCodeSyntaxError", "SyntaxError: "),
        ("throw new EvalError('at once');", "EvalError", "at once"),
        ("exports.handler = async () => process.exit(3);", "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        ("exports.handler = async () => process.exit(0);", "Runtime.ExitError", "Runtime exited without providing a reason"),
        ("exports.handler = async () => { for (;;); };", "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
        ("exports.handler = async () => 'x'.repeat(7_000_000);", "Function.ResponseSizeTooLarge", "6291556"),
        ("exports.handler = async () => { const kept = []; for (;;) kept.push(Buffer.alloc(1 << 20, 1)); };", "Runtime.ExitError", ""),
        ("exports.handler = async () => { const kept = []; for (;;) kept.push([...'x'.repeat(1000)]); };", "Runtime.ExitError", ""),
    ],
)  # fmt: skip
def test_an_error_is_told_as_lambda_tells_it(tmp_path: Path, code: str, kind: str, message: str) -> None:
    outcome = invoke(tmp_path, code, timeout_s=1 if "for (;;);" in code else 10)
    told = json.loads(outcome.payload)
    assert outcome.failed
    assert (told["errorType"], message in told["errorMessage"]) == (kind, True), (told, outcome.log.decode())


def test_a_handler_without_a_file_or_a_name_is_not_found(tmp_path: Path) -> None:
    for handler, kind in (
        ("gone.handler", "Runtime.ImportModuleError"),
        ("app", "Runtime.MalformedHandlerName"),
        ("../app.handler", "Runtime.MalformedHandlerName"),
    ):
        assert json.loads(invoke(tmp_path, "exports.handler = 1;", handler=handler).payload)["errorType"] == kind


def test_what_is_unfinished_is_waited_for_unless_the_function_says_otherwise(tmp_path: Path) -> None:
    code = """
exports.handler = (event, context, callback) => {
    context.callbackWaitsForEmptyEventLoop = %s;
    setTimeout(() => console.log("the timer has rung"), 300);
    callback(null, "answered");
};
"""
    waited, did_not = invoke(tmp_path, code % "true"), invoke(tmp_path, code % "false")
    assert waited.payload == did_not.payload == b'"answered"'
    assert (b"has rung" in waited.log, b"has rung" in did_not.log) == (True, False)


def test_a_function_sees_what_lambda_shows_it(tmp_path: Path) -> None:
    code = """
exports.handler = async (event, context) => {
    console.log("one %s", "two", { three: 3 });
    console.error("wrong");
    return { ...context, left: context.getRemainingTimeInMillis(), environment: process.env };
};
"""
    outcome = invoke(tmp_path, code, client_context='{"custom":{"k":"v"}}', environment={"COLOUR": "blue"})
    seen = json.loads(outcome.payload)
    assert seen["invokedFunctionArn"] == task().function_arn
    assert (seen["functionName"], seen["functionVersion"], seen["memoryLimitInMB"]) == ("f", "1", "128")
    assert seen["clientContext"] == {"custom": {"k": "v"}}
    assert 3_000 < seen["left"] <= 5_000
    environment = seen["environment"]
    assert (environment["COLOUR"], environment["AWS_EXECUTION_ENV"]) == ("blue", f"AWS_Lambda_{RUNTIME}")
    assert environment["AWS_ENDPOINT_URL"] == "http://127.77.0.2"
    assert not any("PYTHON" in name or name.startswith("GEUMGO") for name in environment)
    lines = outcome.log.decode().splitlines()
    assert lines[1].split("\t")[1:] == [seen["awsRequestId"], "INFO", "one two { three: 3 }"]
    assert lines[2].split("\t")[1:] == [seen["awsRequestId"], "ERROR", "wrong"]
    assert "Max Memory Used: " in lines[-1]


def test_layers_are_found_by_require_and_by_import(tmp_path: Path) -> None:
    number = RUNTIME.removeprefix("nodejs").removesuffix(".x")
    layers = (
        package(**{"nodejs/node_modules/shared/index.js": "exports.answer = 42;"}),
        package(
            **{
                f"nodejs/node{number}/node_modules/newer/package.json": '{"type":"module","exports":"./main.js"}',
                f"nodejs/node{number}/node_modules/newer/main.js": "import { answer } from 'shared'; export const more = answer + 1;",
            }
        ),
    )
    required = "const { answer } = require('shared'); exports.handler = async () => answer;"
    assert invoke(tmp_path, required, layers=layers).payload == b"42"
    imported = "import { answer } from 'shared'; import { more } from 'newer'; export const handler = async () => [answer, more];"
    assert invoke(tmp_path, imported, "app.mjs", layers=layers).payload == b"[42,43]"
    missing = json.loads(invoke(tmp_path, "import 'gone'; export const handler = 1;", "app.mjs", layers=layers).payload)
    assert "Cannot find package 'gone' imported from /var/task/app.mjs" in missing["errorMessage"]


def test_what_a_function_has_read_is_not_shown_by_its_log(tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(
        f"MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJc{number:04d}" for number in range(8)
    )
    secret = {"host": "db", "password": 'it\'s "pass\\word" é\t\x1b!', "key": key}
    code = """
exports.handler = async (event) => {
    console.log("early", event.SecretString);
    const answer = await fetch(process.env.AWS_ENDPOINT_URL, { method: "POST", body: JSON.stringify(event) });
    const text = (await answer.json()).SecretString;
    const { password, key, host } = JSON.parse(text);
    console.log(password, { password }, [password], JSON.stringify({ password }));
    console.log({ key }, [text], key);
    console.log(Buffer.from(password).toString("base64"), "on", host);
    throw new Error(password);
};
"""
    told = {"SecretString": json.dumps(secret)}
    with served(echo) as server:
        host = Host(to_server(("127.0.0.1", server), ""), Rules(), directory=tmp_path, most=1)
        outcome = invoke(tmp_path, code, host=host, event=json.dumps(told).encode(), memory_mb=256)
    log = outcome.log.decode()
    assert outcome.failed
    for piece in ("pass\\", 's \\"p', "\\x1B", "MIICdgIBADAN", "w0BAQEF"):
        assert piece not in log
    assert "on db\n" in log
    assert all(form not in log for form in learn(json.dumps(told).encode()).values)


def test_a_function_older_than_node_runs_and_a_newer_one_does_not(tmp_path: Path) -> None:
    """Here Node.js says that it is another version than it is: what it says is what counts."""
    for said, runtime, served_here in ((18, "nodejs18.x", True), (18, "nodejs20.x", False), (24, "nodejs20.x", True)):
        host = Host(nowhere, Rules(), directory=tmp_path, most=1, node=str(pretender(tmp_path, said)))
        code = "exports.handler = async () => process.env.AWS_EXECUTION_ENV;"
        if served_here:
            host.refuse(runtime)
            assert json.loads(invoke(tmp_path, code, host=host, runtime=runtime).payload) == f"AWS_Lambda_{runtime}"
        else:
            with pytest.raises(NotRun, match=r"need Node.js 20 or newer; this is 18"):
                invoke(tmp_path, code, host=host, runtime=runtime)


def test_from_node_24_on_there_are_no_callbacks(tmp_path: Path) -> None:
    host = Host(nowhere, Rules(), directory=tmp_path, most=1, node=str(pretender(tmp_path, 24)))
    refused = invoke(tmp_path, "exports.handler = (event, context, callback) => 1;", host=host, runtime="nodejs24.x")
    assert json.loads(refused.payload)["errorType"] == "Runtime.CallbackHandlerDeprecated"
    assert (
        invoke(tmp_path, "exports.handler = () => 'at once';", host=host, runtime="nodejs24.x").payload == b'"at once"'
    )


def pretender(directory: Path, major: int) -> Path:
    """A program that says it is Node.js of that version, and is the machine's for all else."""
    path = directory / f"node-{major}"
    path.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo v{major}.0.0 && exit\nexec {runtimes.find_node().path} "$@"\n'
    )
    path.chmod(0o755)
    return path


def test_without_node_nothing_in_it_runs_and_all_else_does(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("#!/bin/sh\necho 3.1\n")
    (tmp_path / "other").chmod(0o755)
    for node, why in (
        (tmp_path / "gone", "is not there"),
        (tmp_path / "other", "is something else"),
        (Path("/bin/false"), "does not start"),
    ):
        host = Host(nowhere, Rules(), directory=tmp_path, most=1, node=str(node))
        with pytest.raises(NotRun, match=why):
            host.refuse(RUNTIME)
        with pytest.raises(NotRun, match=why):
            invoke(tmp_path, "exports.handler = async () => 1;", host=host)
        host.refuse("python3.12")
        assert host.run(task()).payload == b"{}"


def test_node_that_a_function_starts_is_the_one_that_it_runs_on(tmp_path: Path) -> None:
    code = """
const { execFileSync } = require("node:child_process");
exports.handler = async () => [execFileSync("node", ["--version"]).toString().trim() === process.version, process.execPath];
"""
    assert json.loads(invoke(tmp_path, code, memory_mb=256).payload) == [True, "/var/geumgo/bin/node"]


def test_no_function_reaches_the_machine_by_the_way(tmp_path: Path) -> None:
    code = """
const net = require("node:net");
exports.handler = async (event) => new Promise((kept) => net.connect(event.port, "127.0.0.1").on("connect", () => kept("out")).on("error", (fault) => kept(fault.code)));
"""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        outcome = invoke(tmp_path, code, event=json.dumps({"port": listener.getsockname()[1]}).encode())
    assert outcome.payload == b'"ECONNREFUSED"'
