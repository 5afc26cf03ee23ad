//! `label_file`: labels in files of their own.

use super::merge::merge;
use super::reader::{LabelError, Reader};
use crate::config::diagnostics::{Span, Spanned};
use crate::config::syntax::{Node, Value};

/// Adds the labels of the service's label files that it does not set itself. Returns an error if a file cannot be
/// read. Of two files, the later one counts.
pub(super) fn merge_label_files(reader: &mut Reader<'_>, service: Node) -> (Node, Option<LabelError>) {
    let files = match service.get("label_file") {
        None => return (service, None),
        Some(Node { value: Value::List(files), .. }) => files.clone(),
        Some(one) => vec![one.clone()],
    };
    let mut service = service;
    for file in files.iter().rev() {
        match read(reader, file) {
            Ok(labels) => {
                let key = Spanned { value: "labels".to_owned(), span: file.span };
                let under = Node::new(service.span, Value::Map(vec![(key, labels)]));
                service = merge(under, service);
            }
            Err(fault) => return (service, Some(fault)),
        }
    }
    (service, None)
}

/// Reads a file as a mapping of labels.
fn read(reader: &mut Reader<'_>, node: &Node) -> Result<Node, LabelError> {
    let path = reader.path(node)?;
    let read = reader.labels(&path, node.span);
    let (file, lines) = read.map_err(|error| LabelError::unreadable(node.span, &path, &error))?;
    let mut labels: Vec<(Spanned<String>, Node)> = Vec::new();
    for line in lines {
        let [name, value, end] = line.places.map(|place| place as u32);
        let span = Span { file, start: name, end: name + line.name.len() as u32 };
        // The variables are filled in already, so `$` must not start another one.
        let text = Value::Scalar(line.value.replace('$', "$$"));
        labels.retain(|(before, _)| before.value != line.name);
        labels.push((Spanned { value: line.name, span }, Node::new(Span { file, start: value, end }, text)));
    }
    Ok(Node::new(node.span, Value::Map(labels)))
}
