//! The networks of services: whether the gate can reach a service, and by which name, as far as the files tell.

use super::gate::is_gate;
use super::project::{LabelError, Project, Reader, Service, pairs};
use crate::config::diagnostics::{Span, quoted};
use crate::config::plan::TargetHost;
use crate::config::syntax::{Node, Value};
use crate::config::values::target;

/// The networks of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reach {
    /// Networks by their names on the machine, each with the aliases of the service.
    Networks(Vec<Joined>),
    /// The networks of another service of the same project.
    Of(String),
    /// The networks of a container, which may be that of a service.
    OfContainer(String),
    /// The network of the machine.
    Host,
    /// No network, or one without names.
    Alone(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Joined {
    /// The name in its own project.
    key: String,
    /// The name on the machine. Equal names are one network.
    name: String,
    aliases: Vec<String>,
}

/// All projects, and the services that run the gate.
pub(super) struct NetworkMap<'p> {
    projects: &'p [Project],
    gates: Vec<(usize, &'p Service)>,
}

impl<'p> NetworkMap<'p> {
    pub(super) fn new(reader: &Reader<'_>, projects: &'p [Project]) -> NetworkMap<'p> {
        let gates = projects.iter().enumerate().flat_map(|(index, project)| {
            let services = project.services.iter().filter(|service| is_gate(reader, service));
            services.map(move |service| (index, service))
        });
        NetworkMap { projects, gates: gates.collect() }
    }

    /// The first service that runs the gate, and the number of its project.
    pub(super) fn gate(&self) -> Option<(usize, &'p Service)> {
        self.gates.first().copied()
    }

    /// Whether the gate is in a container with networks of its own. There, `localhost` is the gate itself.
    pub(super) fn gate_is_alone(&self, reader: &Reader<'_>) -> bool {
        let reach = self.gate().map(|(index, gate)| self.owner(reader, index, gate).2);
        matches!(reach, Some(Reach::Networks(_)))
    }

    /// Whether the gate is a service of this project.
    pub(super) fn runs_gate(&self, project: usize) -> bool {
        self.gates.iter().any(|(index, _)| *index == project)
    }

    /// The host under which the gate reaches a service. If it may not be reachable, a warning at `span`, the place
    /// of the route, says so. `form` is the way to write a target of that route.
    pub(super) fn host(
        &self,
        reader: &mut Reader<'_>,
        project: usize,
        service: &Service,
        span: Span,
        form: &str,
    ) -> Result<TargetHost, LabelError> {
        let (project, service, reach) = self.owner(reader, project, service);
        if let Reach::OfContainer(name) = &reach {
            let message = || format!("{} cannot be the name of a host", quoted(name));
            let hint = format!("say where it is: `smolgate.target: {form}`");
            return usable(name).ok_or_else(|| LabelError::new(span, message(), hint));
        }
        self.warn(reader, service, &reach, span, form);
        let mut names = vec![service.name.value.clone()];
        names.extend(service.node.get("container_name").map(|name| reader.lenient(name)));
        names.extend(self.shared_alias(reader, &reach));
        let ambiguous = self.namesake(reader, project, service, &reach);
        let mut hosts = names.iter().map(|name| usable(name));
        let first = hosts.next().flatten();
        match (first, hosts.flatten().next(), ambiguous) {
            (Some(host), None, Some(other)) => {
                let name = quoted(&service.name.value);
                let message = format!("the gate can reach two services that are called {name}");
                let hint = format!("the other one is at {other}; a `container_name` tells them apart");
                reader.report.warning(Some(span), message, hint);
                Ok(host)
            }
            (Some(host), _, None) | (_, Some(host), _) => Ok(host),
            (None, None, _) => {
                let message = format!("{} cannot be the name of a host", quoted(&service.name.value));
                Err(LabelError::new(span, message, "give the service a `container_name` or a network alias"))
            }
        }
    }

    /// The service on whose networks a service is, the number of its project, and its networks. It is the service
    /// itself unless `network_mode` leads to another one.
    fn owner<'s>(
        &'s self,
        reader: &Reader<'_>,
        project: usize,
        service: &'s Service,
    ) -> (usize, &'s Service, Reach) {
        let mut owner = (project, service);
        // A chain that is longer is a circle, which `docker compose` refuses.
        for _ in 0..self.projects.iter().map(|project| project.services.len()).sum() {
            let reach = reach(reader, &self.projects[owner.0], owner.1);
            let next = match &reach {
                Reach::Of(name) => self.find(owner.0, |other| other.name.value == *name),
                Reach::OfContainer(name) => self.container(reader, owner.0, name),
                _ => None,
            };
            match next {
                Some(next) => owner = next,
                None => return (owner.0, owner.1, reach),
            }
        }
        (owner.0, owner.1, reach(reader, &self.projects[owner.0], owner.1))
    }

    /// A service of one project.
    fn find(&self, project: usize, is_it: impl Fn(&Service) -> bool) -> Option<(usize, &Service)> {
        let service = self.projects[project].services.iter().find(|service| is_it(service))?;
        Some((project, service))
    }

    /// The service with that `container_name`, which is unique on a machine. The own project comes first.
    fn container(&self, reader: &Reader<'_>, own: usize, name: &str) -> Option<(usize, &Service)> {
        let is_it = |service: &Service| {
            service.node.get("container_name").is_some_and(|node| reader.lenient(node) == name)
        };
        std::iter::once(own).chain(0..self.projects.len()).find_map(|project| self.find(project, is_it))
    }

    /// The place of a service of another project that has this name on a network of the gate.
    fn namesake(
        &self,
        reader: &Reader<'_>,
        project: usize,
        service: &Service,
        reach: &Reach,
    ) -> Option<String> {
        if is_stub(service) {
            return None;
        }
        let seen = self.seen_by_gates(reader);
        for (index, other) in self.projects.iter().enumerate().filter(|(index, _)| *index != project) {
            let is_namesake = |one: &&Service| one.name.value == service.name.value && !is_stub(one);
            for one in other.services.iter().filter(is_namesake) {
                let its = self::reach(reader, &self.projects[index], one);
                let both = |names: &[String]| meets(reach, names) && meets(&its, names);
                if both(&seen) || meets(reach, &names_of(&its)) {
                    return Some(reader.report.place(one.name.span));
                }
            }
        }
        None
    }

    /// The names of all networks that a gate is on.
    fn seen_by_gates(&self, reader: &Reader<'_>) -> Vec<String> {
        let reaches = self.gates.iter().map(|(index, gate)| self.owner(reader, *index, gate).2);
        reaches.flat_map(|reach| names_of(&reach)).collect()
    }

    /// The first alias on a network that the gate is on. If the gate is unknown, the first alias on any network.
    fn shared_alias(&self, reader: &Reader<'_>, reach: &Reach) -> Option<String> {
        let Reach::Networks(networks) = reach else { return None };
        let seen = self.seen_by_gates(reader);
        let shared = networks.iter().filter(|joined| seen.is_empty() || seen.contains(&joined.name));
        shared.flat_map(|joined| joined.aliases.iter()).next().cloned()
    }

    fn warn(&self, reader: &mut Reader<'_>, service: &Service, its: &Reach, span: Span, form: &str) {
        let name = quoted(&service.name.value);
        let target = &*format!("say where it is: `smolgate.target: {form}`");
        match its {
            Reach::Host => {
                let message = format!("{name} is on the network of the machine, where its name is not known");
                reader.report.warning(Some(span), message, target);
            }
            Reach::Alone(mode) => {
                let message = format!("{name} has `network_mode: {mode}`: its name leads nowhere");
                reader.report.warning(Some(span), message, target);
            }
            Reach::Of(other) => {
                let message =
                    format!("{name} uses the network of {}, which leads to no service here", quoted(other));
                reader.report.warning(Some(span), message, target);
            }
            // A service without a container of its own is elsewhere, on networks that no file tells.
            Reach::Networks(_) if is_stub(service) => {}
            Reach::OfContainer(_) => {}
            Reach::Networks(networks) => {
                let Some((index, gate)) = self.gates.first() else { return };
                let seen = self.seen_by_gates(reader);
                if networks.iter().any(|joined| seen.contains(&joined.name)) {
                    return;
                }
                let gate_name = quoted(&gate.name.value);
                if let Reach::Host = self.owner(reader, *index, gate).2 {
                    let message = format!(
                        "the gate, {gate_name}, is on the network of the machine, where {name} is not known"
                    );
                    let hint = format!("take `network_mode: host` off {gate_name}, or {target}");
                    return reader.report.warning(Some(span), message, hint);
                }
                let message = format!("{name} shares no network with {gate_name}, which runs the gate");
                let hint = match networks.first() {
                    Some(own) => format!(
                        "put both on one network: for example add {} to `networks` of {gate_name}",
                        quoted(&own.key)
                    ),
                    None => format!("put {name} on a network of {gate_name}"),
                };
                reader.report.warning(Some(span), message, hint);
            }
        }
    }
}

/// Whether no container is made of a service: it stands for one that another file starts.
fn is_stub(service: &Service) -> bool {
    service.node.get("image").is_none() && service.node.get("build").is_none()
}

fn names_of(reach: &Reach) -> Vec<String> {
    match reach {
        Reach::Networks(networks) => networks.iter().map(|joined| joined.name.clone()).collect(),
        _ => Vec::new(),
    }
}

fn meets(reach: &Reach, names: &[String]) -> bool {
    names_of(reach).iter().any(|name| names.contains(name))
}

/// A name that a resolver accepts as a host name.
fn usable(name: &str) -> Option<TargetHost> {
    match target::host_and_port(name) {
        Ok((host @ TargetHost::Name(_), None)) => Some(host),
        _ => None,
    }
}

fn reach(reader: &Reader<'_>, project: &Project, service: &Service) -> Reach {
    let mode = service.node.get("network_mode").map(|mode| reader.lenient(mode)).unwrap_or_default();
    match mode.split_once(':') {
        None if mode.is_empty() => {}
        None if mode == "host" => return Reach::Host,
        Some(("service", other)) => return Reach::Of(other.to_owned()),
        Some(("container", name)) => return Reach::OfContainer(name.to_owned()),
        _ => return Reach::Alone(mode),
    }
    let mut joined: Vec<Joined> = Vec::new();
    for (key, node) in service.node.get("networks").map(networks).unwrap_or_default() {
        let aliases = match node.get("aliases").map(|node| &node.value) {
            Some(Value::List(items)) => items.iter().map(|item| reader.lenient(item)).collect(),
            _ => Vec::new(),
        };
        joined.push(Joined { name: network_name(reader, project, &key), key, aliases });
    }
    if joined.is_empty() {
        let key = "default".to_owned();
        joined.push(Joined { name: network_name(reader, project, &key), key, aliases: Vec::new() });
    }
    Reach::Networks(joined)
}

/// `networks:` of a service: a list of names, or a mapping of them.
fn networks(node: &Node) -> Vec<(String, Node)> {
    pairs(node).into_iter().map(|(key, node)| (key.value, node)).collect()
}

/// The name of a project's network on the machine.
fn network_name(reader: &Reader<'_>, project: &Project, key: &str) -> String {
    let entry = project.networks.iter().find(|(name, _)| name.value == key).map(|(_, node)| node);
    let name = entry.and_then(|entry| entry.get("name")).map(|name| reader.lenient(name));
    let external = entry.and_then(|entry| entry.get("external"));
    match (name, external) {
        (Some(name), _) => name,
        (None, Some(Node { value: Value::Scalar(text), .. })) if text == "true" => key.to_owned(),
        // The older form is `external: {name: x}`.
        (None, Some(map @ Node { value: Value::Map(_), .. })) => {
            map.get("name").map_or_else(|| key.to_owned(), |name| reader.lenient(name))
        }
        _ => format!("{}_{key}", project.name),
    }
}
