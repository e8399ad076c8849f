"""``smspark-submit``, the entry point of SageMaker's Spark images: runs an application on all hosts of a job.

    smspark-submit [--class C] [--jars L] [--py-files L] [--files L] [--local-spark-event-logs-dir D] [-v] APP [ARG …]

As in aws/sagemaker-spark-container, a list may name folders, all files of which are meant, and options end at APP.
AWS runs it on YARN; here it is Spark's own standalone cluster, one worker for each host, and a single host needs none.
The first host is the primary: it runs the master and the driver.  Every other one holds a connection to it, whose end
is the job's.
"""

from __future__ import annotations

import getopt
import glob
import importlib.util
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

RESOURCES = "/opt/ml/config/resourceconfig.json"
CONFIGURATION = "/opt/ml/processing/input/conf/configuration.json"
MASTER_PORT = 7077
MEETING_PORT = 7079
_MEETING_SECONDS = 180.0
_HEAP_MIB = 2048
_LISTS = ("--jars", "--py-files", "--files")
_EVENTS, _EVENTS_TO_S3 = "local-spark-event-logs-dir", "spark-event-logs-s3-uri"
_OPTIONS = ("class=", "jars=", "py-files=", "files=", f"{_EVENTS}=", f"{_EVENTS_TO_S3}=", "verbose")
_HADOOP = ("core-site", "hdfs-site", "yarn-site", "mapred-site", "hive-site")
_JAVAS = ("java-17-*", "temurin-17-*", "java-11-*", "temurin-11-*", "java-8-*", "temurin-8-*")


class Refused(Exception):
    """The command cannot be run; the text says why."""


def parse(words: list[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """Options for spark-submit, properties of Spark, the application and its arguments; raises Refused."""
    try:
        given, rest = getopt.getopt(words, "v", list(_OPTIONS))
    except getopt.GetoptError as error:
        raise Refused(f"smspark-submit: {error}") from error
    if not rest:
        raise Refused("smspark-submit: no application is named")
    options: list[str] = []
    properties: dict[str, str] = {}
    for name, value in given:
        if name in ("-v", "--verbose"):
            options.append("--verbose")
        elif name == f"--{_EVENTS}":
            properties.update({"spark.eventLog.enabled": "true", "spark.eventLog.dir": "file://" + value})
        elif name == f"--{_EVENTS_TO_S3}":
            raise Refused(f"smspark-submit: use --{_EVENTS} and a processing output for event logs")
        else:
            options += [name, ",".join(expand(value)) if name in _LISTS else value]
    return options, properties, rest


def expand(paths: str) -> list[str]:
    """A comma-separated list with the files of each folder in place of the folder; raises Refused."""
    found: list[str] = []
    for path in paths.split(","):
        if path.startswith(("s3:", "s3a:")):
            raise Refused(
                f"smspark-submit: {path}: Spark has no S3 file system here (hadoop-aws is not part of PySpark). "
                "Give a local path, or a processing input."
            )
        place = path[len("file://") :] if path.startswith("file://") else path
        files = [place]
        if os.path.isdir(place):
            files = sorted(entry.path for entry in os.scandir(place) if entry.is_file())
        if not files or not os.path.exists(files[0]):
            raise Refused(f"smspark-submit: {path} does not exist, or is a folder without files")
        found += files
    return found


def configured(path: str) -> tuple[dict[str, str], dict[str, str]]:
    """Properties of Spark and variables that a job's ``configuration`` sets, in EMR's form."""
    if not os.path.exists(path):
        return {}, {}
    with open(path, encoding="utf-8") as file:
        entries = json.load(file)
    properties: dict[str, str] = {}
    variables: dict[str, str] = {}
    for entry in entries if isinstance(entries, list) else [entries]:
        kind, given = entry["Classification"], entry.get("Properties") or {}
        if kind == "spark-defaults":
            properties.update(given)
        elif kind in _HADOOP:
            properties.update({f"spark.hadoop.{name}": value for name, value in given.items()})
        elif kind.endswith("-env"):
            for inner in entry.get("Configurations") or []:
                variables.update(inner.get("Properties") or {})
        else:
            say(f"the configuration {kind} changes nothing here")
    return properties, variables


def say(text: str) -> None:
    print(f"smspark-submit: {text}", flush=True)


def java_home(environ: dict[str, str]) -> str:
    """Of a Java that Spark runs on; empty: whatever is on PATH."""
    if environ.get("JAVA_HOME"):
        return environ["JAVA_HOME"]
    for pattern in _JAVAS:
        for place in sorted(glob.glob(f"/usr/lib/jvm/{pattern}")):
            if os.access(f"{place}/bin/java", os.X_OK):
                return place
    if shutil.which("java", path=environ.get("PATH")) is None:
        raise Refused("smspark-submit: Spark needs Java, say: apt-get install openjdk-17-jre-headless")
    return ""


class Spark:
    """Spark on this host. ``me``: the host's name; ``variables``: of all its processes."""

    def __init__(self, me: str, hosts: list[str], variables: dict[str, str]) -> None:
        self.me = me
        self.hosts = hosts
        spec = importlib.util.find_spec("pyspark")
        if spec is None or not spec.submodule_search_locations:
            raise Refused("smspark-submit: this interpreter has no PySpark")
        home = spec.submodule_search_locations[0]
        environ = {**os.environ, **variables}
        environ.update(SPARK_HOME=home, PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_HOSTNAME=me)
        if len(hosts) == 1:
            environ["SPARK_LOCAL_IP"] = "127.0.0.1"  # its network may be the machine's
        if java := java_home(environ):
            environ["JAVA_HOME"] = java
        self._bin = f"{home}/bin"
        self._environ = environ
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    def cores(self) -> int:
        """What this instance has."""
        return int(os.environ.get("SM_NUM_CPUS") or os.cpu_count() or 1)

    @property
    def master(self) -> str:
        return f"spark://{self.hosts[0]}:{MASTER_PORT}" if len(self.hosts) > 1 else f"local[{self.cores}]"

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """A daemon of the cluster; it ends with this program."""
        process = subprocess.Popen([f"{self._bin}/spark-class", *words], env=self._environ)
        self._running.append(process)
        return process

    def start_worker(self) -> subprocess.Popen[bytes]:
        limits = ("--cores", str(self.cores), "--memory", f"{_HEAP_MIB + 1024}M", "--webui-port", "0")
        return self.start("org.apache.spark.deploy.worker.Worker", "--host", self.me, *limits, self.master)

    def start_master(self) -> None:
        ports = ("--port", str(MASTER_PORT), "--webui-port", "0")
        self.start("org.apache.spark.deploy.master.Master", "--host", self.me, *ports)

    def submit(self, options: list[str], properties: dict[str, str], application: list[str]) -> int:
        """Runs the application; its exit status."""
        memory = f"{_HEAP_MIB}m"
        every = {
            "spark.ui.enabled": "false",
            "spark.driver.host": self.me,
            "spark.driver.memory": memory,
            "spark.executor.memory": memory,
            **(self._whole() if len(self.hosts) > 1 else {}),
            **properties,
        }
        words = [f"{self._bin}/spark-submit", "--master", self.master, "--deploy-mode", "client", *options]
        for name, value in every.items():
            words += ["--conf", f"{name}={value}"]
        process = subprocess.Popen([*words, *application], env=self._environ)
        self._running.append(process)
        return process.wait()

    def _whole(self) -> dict[str, str]:
        """The application begins once all hosts can take part in it."""
        cores = str(self.cores * len(self.hosts))
        waits = {"minRegisteredResourcesRatio": "1.0", "maxRegisteredResourcesWaitingTime": "60s"}
        return {"spark.cores.max": cores, **{f"spark.scheduler.{name}": value for name, value in waits.items()}}

    def close(self) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def answering(host: str, port: int) -> socket.socket:
    """A connection, as soon as somebody listens there; raises Refused."""
    deadline = time.monotonic() + _MEETING_SECONDS
    while True:
        try:
            return socket.create_connection((host, port), 5)
        except OSError as error:
            if time.monotonic() > deadline:
                raise Refused(f"smspark-submit: {host}:{port} does not answer: {error}") from error
            time.sleep(0.2)


def lead(spark: Spark, options: list[str], properties: dict[str, str], application: list[str]) -> int:
    """The primary of several hosts: waits for the others, runs the application, and lets them go."""
    others = len(spark.hosts) - 1
    spark.start_master()
    # A worker that finds no master asks again only ten seconds later.
    answering(spark.me, MASTER_PORT).close()
    with socket.create_server((spark.me, MEETING_PORT), backlog=others) as door:
        door.settimeout(_MEETING_SECONDS)
        spark.start_worker()
        met: list[socket.socket] = []
        try:
            while len(met) < others:
                met.append(door.accept()[0])
            say(f"all {len(spark.hosts)} hosts are there")
            return spark.submit(options, properties, application)
        except TimeoutError as error:
            raise Refused(f"smspark-submit: only {len(met)} of {others} other hosts came") from error
        finally:
            for connection in met:
                connection.close()


def follow(spark: Spark) -> int:
    """A worker, for as long as the primary is there."""
    connection = answering(spark.hosts[0], MEETING_PORT)
    worker = spark.start_worker()
    with connection:
        while worker.poll() is None:
            if select.select([connection], [], [], 1.0)[0]:
                say("the primary is done")
                return 0
    return worker.returncode or 1


def main(words: list[str]) -> int:
    with open(RESOURCES, encoding="utf-8") as file:
        resources = json.load(file)
    try:
        options, properties, application = parse(words)
        more, variables = configured(CONFIGURATION)
        spark = Spark(resources["current_host"], resources["hosts"], variables)
        properties = {**more, **properties}
        try:
            if spark.me != spark.hosts[0]:
                return follow(spark)
            if len(spark.hosts) > 1:
                return lead(spark, options, properties, application)
            return spark.submit(options, properties, application)
        finally:
            spark.close()
    except Refused as refused:
        print(refused, file=sys.stderr, flush=True)
        return 1


def _stop(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    status = main(sys.argv[1:])
    sys.exit(status if status >= 0 else 128 - status)
