//! The keys of the files, and a JSON Schema of them.

use serde_json::Value;

use crate::config::keys::Form::{self, Any, Either, Flag, List, Mapping as Map, Names, Number, Text, Words};
use crate::config::schema;
use crate::config::schema::by_hand::{ByHand, REQUIRED};
use crate::config::schema::mappings::Mapping;

/// A number of seconds, or text as Go writes durations.
const TIME: Form = Text;
const TEXTS: Form = List(&Text);

pub(super) const FILE: &str = "a prox file";
pub(super) const SERVICE: &str = "a service";
pub(super) const SETTINGS: &str = "`config`";
pub(super) const ROUTE: &str = "a route";
pub(super) const MATCH: &str = "`match`";
pub(super) const BALANCER: &str = "a balancer";
pub(super) const SPEED: &str = "`speed`";
pub(super) const ACTION: &str = "an action";
pub(super) const RESOURCE: &str = "a resource";
pub(super) const PLUGIN: &str = "a plugin";
pub(super) const LOGGING: &str = "`logging`";
pub(super) const ADMIN: &str = "`admin`";
pub(super) const ACME: &str = "`acme`";
pub(super) const DNS: &str = "`dns` of `acme`";
pub(super) const S3: &str = "`s3` of `acme`";

const OF_FILE: &[ByHand] = &[
    (
        "services",
        Names(&Either(&[Text, Map(SERVICE)])),
        "",
        "Listeners by their names; or the path of a file or a folder.",
    ),
    ("plugins", Names(&Map(PLUGIN)), "", "Programs that are asked about requests."),
    ("actions", Names(&Map(ACTION)), "", "Actions that routes name."),
    ("resources", Names(&Map(RESOURCE)), "", "Bodies that actions name."),
    ("logging", Map(LOGGING), "", "The log and the access log."),
    ("admin", Map(ADMIN), "", "The address of the internal API."),
];

/// Keys of a file that is one service, beside those of the service.
const OF_FRAGMENT: &[ByHand] =
    &[("service_plugins", TEXTS, "", "Plugins of the service, if the file is one.")];

const OF_SERVICE: &[ByHand] = &[
    ("listen", Text, REQUIRED, "The address: \":8080\", \"127.0.0.1:80\"."),
    ("tls", Flag, "false", "Whether TLS is spoken."),
    ("tls_cert", Text, "", "A certificate, or a folder of certificates with their keys."),
    ("tls_key", Text, "", "The key of the certificate."),
    ("acme", Map(ACME), "", "Orders certificates."),
    ("h2", Flag, "true", "Whether clients may speak HTTP/2."),
    ("config", Map(SETTINGS), "", "Limits and timeouts."),
    ("plugins", Either(&[TEXTS, Names(&Map(PLUGIN))]), "", "Plugins of all routes."),
    (
        "trusted_proxies",
        Form::OneOrMany(&Text),
        "",
        "Peers whose X-Forwarded-* fields are trusted. Not of prox.",
    ),
    (
        "routes",
        List(&Either(&[Text, Map(ROUTE)])),
        REQUIRED,
        "Routes in the order in which they are tried; or paths of files with routes.",
    ),
];

const OF_SETTINGS: &[ByHand] = &[
    ("read_timeout", TIME, "10s", "The time for the head of a request, and for a body that does not move."),
    ("write_timeout", TIME, "30s", "The time for a response that a client does not take."),
    ("idle_timeout", TIME, "120s", "The time that a connection is kept without a request."),
    ("response_header_timeout", TIME, "30s", "The time for the head of a response."),
    ("flush_interval", TIME, "", "Without effect here: bytes are passed on as they come."),
    ("dial_timeout", TIME, "30s", "The time for a connection to a target."),
    ("keep_alive", TIME, "30s", "The time between probes of a silent connection to a target."),
    ("max_idle_conns", Number(0, 1_000_000), "", "Idle connections to all targets."),
    ("max_idle_conns_per_host", Number(0, 1_000_000), "", "Idle connections to one target."),
    ("tls_handshake_timeout", TIME, "", "Without effect here: the time for a connection has it in it."),
    ("read_buffer_size", Number(0, 1_000_000_000), "", "Without effect here."),
    ("write_buffer_size", Number(0, 1_000_000_000), "", "Without effect here."),
    ("disable_compression", Flag, "", "Without effect here."),
    ("h2_read_idle_timeout", TIME, "", "Without effect here."),
    ("h2_ping_timeout", TIME, "", "Without effect here."),
    ("max_connections", Number(0, 10_000_000), "", "Connections of clients at the same time."),
];

const OF_ROUTE: &[ByHand] = &[
    ("match", Map(MATCH), "", "The requests that it takes; all without it."),
    ("action", Either(&[Text, Map(ACTION)]), REQUIRED, "The name of an action, or an action."),
    ("plugins", TEXTS, "", "Plugins of this route."),
    ("plugin_timeout", TIME, "5s", "The time for all plugins of a request."),
    ("balancer", Map(BALANCER), "", "The targets in the place of {target}."),
    ("speed", Map(SPEED), "", "How fast bodies move."),
    ("set", Names(&Text), "", "Values of placeholders in `upstream`."),
    ("access_log", Text, "", "A path, or off."),
];

const OF_MATCH: &[ByHand] = &[
    ("path", Text, "", "Paths with commas between them; /a/* is everything below /a/."),
    ("domain", Text, "", "A host, with stars: *.example.com, cdn-*.**."),
    ("methods", TEXTS, "", "Methods; all without it."),
    ("forward_proxy", Flag, "false", "Not supported here yet."),
];

const OF_BALANCER: &[ByHand] = &[
    ("type", Words(&["roundrobin", "random", "leastconn"]), REQUIRED, "The choice of a target."),
    ("targets", TEXTS, "", "The targets."),
    ("fallback", Flag, "false", "For groups of targets that plugins push."),
];

const OF_SPEED: &[ByHand] = &[
    ("download_mbps", Text, "", "Millions of bits per second to clients."),
    ("upload_mbps", Text, "", "Millions of bits per second from clients."),
    ("shared", Flag, "false", "Whether all connections of the route share them."),
];

const OF_ACTION: &[ByHand] = &[
    ("type", Words(&["proxy", "static", "serve", "pass", "drop"]), REQUIRED, "The kind of action."),
    ("plugins", TEXTS, "", "Plugins of routes with this action."),
    ("access_log", Text, "", "A path, or off."),
    ("upstream", Text, "", "Of proxy and pass: the target, maybe with {target} and names of `set`."),
    ("timeout", TIME, "30s", "Of proxy: the time for a connection."),
    ("stream", Flag, "false", "Without effect here: everything streams."),
    ("proto", Text, "", "Of proxy: h2 for HTTP/2 to the target."),
    ("fallback", Text, "", "Of proxy: the action whose target is used if the others fail."),
    ("headers", Names(&Text), "", "Fields that are set."),
    ("status", Number(100, 599), "", "Of static: the status."),
    ("body_ref", Either(&[Text, Map(RESOURCE)]), "", "Of static: the name of a resource, or a resource."),
    ("root", Text, "", "Of serve: a folder."),
    ("file", Text, "", "Of serve: one file for every path."),
];

const OF_RESOURCE: &[ByHand] = &[
    ("text", Text, "", "A text."),
    ("file", Text, "", "A file with a text."),
    ("json", Any, "", "A value that is written as JSON."),
];

const OF_PLUGIN: &[ByHand] = &[
    ("path", Text, REQUIRED, "The program."),
    ("autostart", Flag, "false", "Whether it runs without a route that names it."),
];

const OF_LOGGING: &[ByHand] = &[
    ("level", Words(&["debug", "info", "warn", "error"]), "info", "The least severe level."),
    ("access_log", Text, "", "The file of the access log."),
    ("error_log", Text, "", "Not supported here: the log goes to standard error."),
];

const OF_ADMIN: &[ByHand] = &[
    ("listen", Text, REQUIRED, "An address, or unix:///path."),
    ("token", Text, "", "The token that requests must carry."),
];

const OF_ACME: &[ByHand] = &[
    ("email", Text, REQUIRED, "The address that the authority may write to."),
    ("ca", Text, "letsencrypt", "letsencrypt, production, staging, zerossl or the URL of a directory."),
    ("cas", TEXTS, "", "Authorities, best first."),
    ("challenge", Words(&["", "alpn", "http", "dns"]), "alpn", "The challenge. alpn and http offer both."),
    ("dns", Map(DNS), "", "How records are written."),
    ("storage_type", Words(&["", "file", "s3"]), "file", "A folder or a bucket."),
    ("storage", Text, "acme", "The folder."),
    ("s3", Map(S3), "", "The bucket."),
    ("domains", TEXTS, "", "The names to order for; those of the routes without it."),
];

const OF_DNS: &[ByHand] = &[
    ("provider", Words(&["cloudflare"]), REQUIRED, "The provider."),
    ("token", Text, "", "The token; without it the variable CF_DNS_API_TOKEN."),
    ("discover", Flag, "false", "Not supported here: name the domains."),
    ("resolvers", TEXTS, "", "DNS servers to ask."),
];

const OF_S3: &[ByHand] = &[
    ("bucket", Text, REQUIRED, "The bucket."),
    ("region", Text, "us-east-1", "The region."),
    ("endpoint", Text, "", "The URL of the server."),
    ("access_key", Text, "", "The key."),
    ("secret_key", Text, "", "Its secret."),
    ("prefix", Text, "", "The beginning of all names in the bucket."),
    ("key", Form::OneOrMany(&Text), "", "The key that seals what is kept there. Not of prox."),
    ("use_path_style", Flag, "false", "Without effect here."),
];

pub(super) const MAPPINGS: &[Mapping] = &[
    Mapping { what: FILE, by_hand: &[OF_FILE, OF_FRAGMENT], settings: &[] },
    Mapping { what: SERVICE, by_hand: &[OF_SERVICE], settings: &[] },
    Mapping { what: SETTINGS, by_hand: &[OF_SETTINGS], settings: &[] },
    Mapping { what: ROUTE, by_hand: &[OF_ROUTE], settings: &[] },
    Mapping { what: MATCH, by_hand: &[OF_MATCH], settings: &[] },
    Mapping { what: BALANCER, by_hand: &[OF_BALANCER], settings: &[] },
    Mapping { what: SPEED, by_hand: &[OF_SPEED], settings: &[] },
    Mapping { what: ACTION, by_hand: &[OF_ACTION], settings: &[] },
    Mapping { what: RESOURCE, by_hand: &[OF_RESOURCE], settings: &[] },
    Mapping { what: PLUGIN, by_hand: &[OF_PLUGIN], settings: &[] },
    Mapping { what: LOGGING, by_hand: &[OF_LOGGING], settings: &[] },
    Mapping { what: ADMIN, by_hand: &[OF_ADMIN], settings: &[] },
    Mapping { what: ACME, by_hand: &[OF_ACME], settings: &[] },
    Mapping { what: DNS, by_hand: &[OF_DNS], settings: &[] },
    Mapping { what: S3, by_hand: &[OF_S3], settings: &[] },
];

/// A schema of root files. Editors that know JSON Schema take YAML and JSON, and few of them JSON5.
pub(super) fn schema() -> Value {
    schema::file((FILE, MAPPINGS))
}
