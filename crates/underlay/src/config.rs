//! What a start begins with: the declarations, checked as a whole, and the infra config that says where everything is.

use underlay_model::{InfraConfig, Model, Problem, Severity};

use crate::inventory;
use crate::{Error, ErrorKind, Result};

/// What says that this process runs in a deployment, where nothing must be provisioned.
const DEPLOYMENT_VARIABLES: [&str; 6] = [
    "KUBERNETES_SERVICE_HOST",
    "ECS_CONTAINER_METADATA_URI",
    "ECS_CONTAINER_METADATA_URI_V4",
    "K_SERVICE",
    "CLOUD_RUN_JOB",
    "AWS_LAMBDA_FUNCTION_NAME",
];

/// The model of everything that is declared in this binary.
///
/// # Errors
///
/// [`ErrorKind::Configuration`] if a declaration cannot be read, which is a defect of Underlay.
pub fn model() -> Result<Model> {
    let entries = inventory::entries().map_err(configuration)?;
    Ok(inventory::model(&entries))
}

/// One error that lists all problems.
pub(crate) fn configuration(problems: Vec<String>) -> Error {
    let text = match &*problems {
        [only] => only.clone(),
        all => {
            let list: String = all
                .iter()
                .map(|problem| format!("\n- {}", problem.replace('\n', "\n  ")))
                .collect();
            format!(
                "{} problems keep the application from starting:{list}",
                all.len()
            )
        }
    };
    Error::new(ErrorKind::Configuration, text)
}

/// The rules that need the whole model.
pub(crate) fn check(model: &Model) -> Result<()> {
    let mut errors = Vec::new();
    for problem in underlay_model::check::check(model) {
        match problem.severity {
            Severity::Error => errors.push(without_severity(&problem)),
            Severity::Warning => {
                tracing::warn!(target: "underlay", "{}", without_severity(&problem));
            }
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(configuration(errors))
    }
}

/// A problem with its places; whoever tells it says how bad it is.
fn without_severity(problem: &Problem) -> String {
    let places = problem
        .sources
        .iter()
        .map(|source| format!("\n  --> {source}"));
    std::iter::once(problem.message.clone())
        .chain(places)
        .collect()
}

/// The infra config that `UNDERLAY_INFRA` names or holds; `None` to provision locally.
pub(crate) fn read() -> Result<Option<InfraConfig>> {
    let variable = |name: &str| std::env::var(name).ok();
    let Some(value) = variable("UNDERLAY_INFRA").filter(|value| !value.trim().is_empty()) else {
        return match DEPLOYMENT_VARIABLES
            .iter()
            .find(|name| std::env::var_os(name).is_some())
        {
            Some(name) => Err(configuration(vec![format!(
                "{name} is set, so this is a deployment, and nothing is provisioned there: set UNDERLAY_INFRA to the \
                 path of the infra config, or to its text"
            )])),
            None => Ok(None),
        };
    };
    let (text, origin) = if value.trim_start().starts_with('{') {
        (value, "UNDERLAY_INFRA".to_owned())
    } else {
        let text = std::fs::read_to_string(&value).map_err(|error| {
            configuration(vec![format!(
                "the infra config {value}, which UNDERLAY_INFRA names, cannot be read: {error}"
            )])
        })?;
        (text, value)
    };
    let config = InfraConfig::read(&text, &variable).map_err(|problems| {
        configuration(
            problems
                .iter()
                .map(|problem| format!("infra config {origin}: {problem}"))
                .collect(),
        )
    })?;
    Ok(Some(config))
}
