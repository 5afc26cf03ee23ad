//! The files in `config/kubernetes`: the configuration in the ConfigMap loads, and the Deployment fits to it.
//! `tests/deploy.sh` runs it, and checks the manifests by their schemas.

use serde_json::Value;
use smolgate::config::{MemoryInputs, load};

use crate::support::schema::Schema;
use crate::tables::page;

/// The file in the ConfigMap is what the gate of the Deployment reads, beside the folder of its Secret.
#[test]
fn the_configuration_for_kubernetes_loads() {
    let map: Value = serde_saphyr::from_str(&page("config/kubernetes/config.yaml")).expect("YAML");
    let text = map["data"]["smolgate.yml"].as_str().expect("a file");
    Schema::of("native").check(text).unwrap_or_else(|error| panic!("{error}"));
    let inputs = MemoryInputs::new().file("smolgate.yml", text).env("GATE_TOKEN", "t");
    let loaded = load(&["smolgate.yml".into()], &inputs).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings[0].render(false));

    // Ports, the variable and the folders are the same in both.
    let deployment: Value = serde_saphyr::from_str(&page("config/kubernetes/deployment.yaml")).expect("YAML");
    let gate = &deployment["spec"]["template"]["spec"]["containers"][0];
    let mut ports: Vec<u64> =
        loaded.plan.listeners.iter().map(|listener| listener.binds[0].port().into()).collect();
    ports.push(42007);
    let opened: Vec<u64> = gate["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| port["containerPort"].as_u64().unwrap())
        .collect();
    assert_eq!(opened, ports);
    assert!(text.contains(":42007"), "{text}");
    assert_eq!(gate["env"][0]["name"], "GATE_TOKEN");
    let folder = gate["volumeMounts"][1]["mountPath"].as_str().unwrap();
    assert!(text.contains(&format!("[{folder}]")), "{folder}");
    let file = format!("{}/smolgate.yml", gate["volumeMounts"][0]["mountPath"].as_str().unwrap());
    assert_eq!(gate["args"][2], file.as_str());
}
