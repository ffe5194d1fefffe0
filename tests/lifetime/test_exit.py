"""Every end of a serving process, whatever happens in its mount at that moment.

Afterwards there is no mount, nobody hangs, and the status is the one that the process
would have had without a mount. (That nobody hangs shows in `run_child`, too: whoever
uses the mount has the child's stdout, whose end is waited for.)
"""

import signal

import pytest

ENDS = {
    "return": ("", 0),
    "exception": ("raise ValueError('uncaught')", 1),
    "sys.exit": ("sys.exit(3)", 3),
    "SIGINT": ("os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    "SIGHUP": ("os.kill(os.getpid(), signal.SIGHUP)", -signal.SIGHUP),
    "_exit": ("os._exit(4)", 4),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "abort": ("os.abort()", -signal.SIGABRT),
    "SIGSEGV": ("ctypes.string_at(0)", -signal.SIGSEGV),
}

DUMPS_CORE = {-signal.SIGABRT, -signal.SIGSEGV}

SITUATIONS = {
    "idle": "",
    "own-files": """
file = open(path("text"), "rb")
file.read(1)
directory = os.scandir(mountpoint)
next(directory)
os.chdir(mountpoint)
mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
""",
    "files-of-another": """
command = ["sh", "-c", f"cd {mountpoint}; exec 3<text; echo; cat; cat <&3"]
user = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
user.stdout.readline()
""",
    "read-by-another": """
user = subprocess.Popen(["cat", path("blocked")])
filesystem.reading.wait()
""",
    "uncached-read-by-another": """
user = subprocess.Popen(["cat", path("waiting")])
filesystem.reading.wait()
""",
    "own-read": """
start(lambda: open(path("blocked"), "rb").read())
filesystem.reading.wait()
""",
    "own-uncached-read": """
start(lambda: open(path("waiting"), "rb").read())
filesystem.reading.wait()
""",
}

# Ends that run Python's atexit differ in nothing but the status, and wait for a stuck
# callback; once past the cache is enough of them.
SLOW = {"return", "exception", "sys.exit", "SIGINT"}
CASES = [
    (situation, end)
    for situation in SITUATIONS
    for end in ENDS
    if "read" not in situation
    or end not in SLOW
    or (end == "return" and "uncached" in situation)
]


@pytest.mark.parametrize(("situation", "end"), CASES)
def test_process_ends(run_child, gone, situation, end):
    code, status = ENDS[end]
    # one that dumps core waits for all its threads, also for those that wait for it
    is_stuck = situation.startswith("own") and "read" in situation
    wait = "until_watched_closely()" if is_stuck and status in DUMPS_CORE else ""
    program = f"""
filesystem = Served()
mount = fusesg.mount(filesystem, mountpoint)
os.listdir(mountpoint)
{SITUATIONS[situation]}
{wait}
say("now")
{code}
"""
    result = run_child(program)
    assert result.stdout.startswith("now\n"), result.stderr
    assert result.returncode == status, result.stderr
    gone()


@pytest.mark.parametrize("end", ["SIGKILL", "_exit", "SIGSEGV"])
def test_the_process_ends_while_it_mounts(run_child, gone, end):
    """The kernel has the mount already, and nobody serves it yet."""
    code, status = ENDS[end]
    program = f"""
class Starting(Served):
    def init(self):
        say(mountpoint in open("/proc/self/mounts").read())
        {code}

fusesg.mount(Starting(), mountpoint)
"""
    result = run_child(program)
    assert (result.stdout, result.returncode) == ("True\n", status), result.stderr
    gone()
