//! Labels that stand in files of their own: `label_file`.

use super::merge::merge;
use super::reader::{Fault, Reader};
use crate::config::report::{At, Spot};
use crate::config::yaml::{Node, Value};

/// The service with the labels of the files that it names, where it does not set them itself; and why
/// one of them cannot be read. Of two files, the later one counts.
pub(super) fn lay_under(reader: &mut Reader<'_>, service: Node) -> (Node, Option<Fault>) {
    let files = match service.get("label_file") {
        None => return (service, None),
        Some(Node { value: Value::List(files), .. }) => files.clone(),
        Some(one) => vec![one.clone()],
    };
    let mut service = service;
    for file in files.iter().rev() {
        match read(reader, file) {
            Ok(labels) => {
                let key = At { value: "labels".to_owned(), spot: file.spot };
                let under = Node::new(service.spot, Value::Map(vec![(key, labels)]));
                service = merge(under, service);
            }
            Err(fault) => return (service, Some(fault)),
        }
    }
    (service, None)
}

/// A file as the mapping that it could be written as.
fn read(reader: &mut Reader<'_>, node: &Node) -> Result<Node, Fault> {
    let path = reader.path(node)?;
    let read = reader.labels(&path, node.spot);
    let (file, lines) = read.map_err(|error| Fault::unreadable(node.spot, &path, &error))?;
    let mut labels: Vec<(At<String>, Node)> = Vec::new();
    for line in lines {
        let [name, value, end] = line.places.map(|place| place as u32);
        let spot = Spot { file, start: name, end: name + line.name.len() as u32 };
        // Its variables are filled in.
        let text = Value::Scalar(line.value.replace('$', "$$"));
        labels.retain(|(before, _)| before.value != line.name);
        labels.push((At { value: line.name, spot }, Node::new(Spot { file, start: value, end }, text)));
    }
    Ok(Node::new(node.spot, Value::Map(labels)))
}
