"""The system calls that a function may not make, as a seccomp filter, and what it may not use more of than it was given."""

import ctypes
import errno
import os
import resource
import struct
from collections.abc import Mapping
from typing import Any, Final

_KILL: Final = 0x80000000
_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_AT_LEAST: Final = 0x35
_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06

_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_NAMESPACES: Final = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_X32: Final = 0x40000000
_FAMILIES: Final = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6

# name: (x86_64, aarch64); -1: the machine has no such call
_DENIED: Final[Mapping[str, tuple[int, int]]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, -1),
    "iopl": (172, -1),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "modify_ldt": (154, -1),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
_CLONE, _CLONE3, _SOCKET = (56, 220), (435, 435), (41, 198)
_MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

PR_SET_SECCOMP: Final = 22
PR_SET_NO_NEW_PRIVS: Final = 38
MODE_FILTER: Final = 2


def _step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)


def _refuse(number: int, error: int) -> bytes:
    """`number` answers `error`; the number is loaded."""
    return _step(_EQUAL, number, 0, 1) + _step(_RETURN, _ERRNO | error)


def program(machine: str) -> bytes:
    """The filter for a machine (`os.uname().machine`) as BPF. Raises KeyError if it is not one that is known."""
    column, arch = _MACHINES[machine]
    made = _step(_LOAD, _ARCH) + _step(_EQUAL, arch, 1, 0) + _step(_RETURN, _KILL) + _step(_LOAD, _NUMBER)
    made += _step(_AT_LEAST, _X32, 0, 1) + _step(_RETURN, _ERRNO | errno.ENOSYS)
    for numbers in _DENIED.values():
        if numbers[column] >= 0:
            made += _refuse(numbers[column], errno.EPERM)
    # clone3 has its flags in memory, where no filter looks: the C library falls back to clone
    made += _refuse(_CLONE3[column], errno.ENOSYS)
    made += _step(_EQUAL, _CLONE[column], 0, 4) + _step(_LOAD, _FIRST_ARGUMENT)
    made += _step(_ANY_BIT, _NAMESPACES, 0, 1) + _step(_RETURN, _ERRNO | errno.EPERM) + _step(_RETURN, _ALLOW)
    made += _step(_EQUAL, _SOCKET[column], 0, 5) + _step(_LOAD, _FIRST_ARGUMENT)
    for left, family in zip((3, 2, 1), _FAMILIES, strict=True):
        made += _step(_EQUAL, family, left, 0)
    made += _step(_RETURN, _ERRNO | errno.EAFNOSUPPORT)
    return made + _step(_RETURN, _ALLOW)


def forbid() -> None:
    """From here on this process and its children make none of the denied calls. Raises OSError, KeyError."""
    code = program(os.uname().machine)
    kept = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: the number of steps, and where they are
    steps = struct.pack("@HP", len(code) // 8, ctypes.addressof(kept))
    fprog = ctypes.create_string_buffer(steps, len(steps))
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.addressof(fprog))


def limit(given: Mapping[str, int]) -> None:
    """Hard limits, by their names in `given`.

    Of each process: `memory_bytes` of address space, `data_bytes` of it that it may write to, open `files`. Of each file: `file_bytes`.
    And `processes`.
    """
    for which, value in (
        (resource.RLIMIT_AS, given["memory_bytes"]),
        (resource.RLIMIT_DATA, given["data_bytes"]),
        (resource.RLIMIT_FSIZE, given["file_bytes"]),
        (resource.RLIMIT_NPROC, given["processes"]),
        (resource.RLIMIT_NOFILE, given["files"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        resource.setrlimit(which, (value, value))


def _prctl(option: int, *arguments: Any) -> None:
    """Raises OSError."""
    four = [ctypes.c_ulong(each) for each in (*arguments, 0, 0, 0, 0)[:4]]
    if ctypes.CDLL(None, use_errno=True).prctl(option, *four) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
