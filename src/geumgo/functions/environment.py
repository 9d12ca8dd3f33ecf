"""What a function finds: its environment, and where in its network the server is."""

import time
from typing import Final

from geumgo.functions import Task
from geumgo.functions.runtimes import Language

API: Final = ("127.77.0.1", 9001)
ENDPOINT: Final = ("127.77.0.2", 80)
RESOLVER: Final = ("127.0.0.53", 53)
ENDPOINT_URL: Final = f"http://{ENDPOINT[0]}"


def environment(task: Task, language: Language) -> dict[str, str]:
    """What the function finds in its environment. The function's own variables win where Lambda lets them.

    Source: "Defined runtime environment variables", developer guide. The two addresses of the server are ours.
    """
    own = task.environment
    libraries = [f"{language.prefix}/lib", "/var/runtime", "/var/task", "/var/task/lib", "/opt/lib"]
    return {
        "PATH": f"{language.prefix}/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "MALLOC_ARENA_MAX": "2",
        **language.environment,
        **own,
        "LD_LIBRARY_PATH": ":".join([*libraries, own["LD_LIBRARY_PATH"]] if "LD_LIBRARY_PATH" in own else libraries),
        "_HANDLER": task.handler,
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "AWS_LAMBDA_RUNTIME_API": f"{API[0]}:{API[1]}",
        "AWS_LAMBDA_FUNCTION_NAME": task.name,
        "AWS_LAMBDA_FUNCTION_VERSION": task.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(task.memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{task.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{time.strftime('%Y/%m/%d', time.gmtime())}/[{task.version}]{task.request_id.replace('-', '')}",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_EXECUTION_ENV": language.name,
        "AWS_REGION": task.region,
        "AWS_DEFAULT_REGION": task.region,
        "AWS_ENDPOINT_URL": ENDPOINT_URL,
        "SECRETS_MANAGER_ENDPOINT": ENDPOINT_URL,
        **task.credentials,
    }
