//! The image that a container is made from: which one it is, and how it gets here.

use std::collections::HashMap;

use bollard::{Docker, query_parameters::CreateImageOptionsBuilder};
use futures_util::StreamExt;

use super::{Refusal, Scope};
use crate::{
    docker::{Engine, is_not_found, text_of},
    report::{Event, waiting},
};

/// The major version that is taken when nobody says.
const DEFAULT_VERSION: &str = "17";
/// The image that the settings ask for, with its tag.
pub(super) fn name(scope: &Scope<'_>) -> String {
    let Some(image) = &scope.settings.image else {
        return format!(
            "postgres:{}",
            scope.settings.version.as_deref().unwrap_or(DEFAULT_VERSION)
        );
    };
    let last = image.rsplit('/').next().unwrap_or(image);
    // Without a tag the engine would pull every one there is.
    if last.contains([':', '@']) {
        image.clone()
    } else {
        format!("{image}:latest")
    }
}

/// Sees to it that the image is there, and says which major version of PostgreSQL it holds, if it tells.
pub(super) async fn provide(
    scope: &Scope<'_>,
    engine: &Engine,
    image: &str,
) -> Result<Option<String>, Refusal> {
    let found = match engine.docker.inspect_image(image).await {
        Ok(found) => found,
        Err(error) if is_not_found(&error) => {
            pull(scope, &engine.docker, image).await?;
            engine.docker.inspect_image(image).await.map_err(|error| {
                Refusal::Unavailable(format!(
                    "the image {image} was pulled and is not there: {}",
                    text_of(&error)
                ))
            })?
        }
        Err(error) => {
            return Err(Refusal::Unavailable(format!(
                "Docker cannot look up the image {image}: {}",
                text_of(&error)
            )));
        }
    };
    Ok(found
        .config
        .and_then(|config| variable(config.env.as_ref(), "PG_MAJOR")))
}

async fn pull(scope: &Scope<'_>, docker: &Docker, image: &str) -> Result<(), Refusal> {
    let what = format!("pulling {image}");
    let options = CreateImageOptionsBuilder::new().from_image(image).build();
    let mut layers: HashMap<String, (u64, u64)> = HashMap::new();
    let mut stream = std::pin::pin!(docker.create_image(Some(options), None, None));
    let mut outcome = Ok(());
    scope.reporter.report(Event::Progress {
        what: &what,
        done: 0,
        total: None,
    });
    while let Some(item) = waiting(scope.reporter, &what, stream.next()).await {
        let info = match item {
            Ok(info) => info,
            Err(error) => {
                outcome = Err(text_of(&error));
                break;
            }
        };
        if let Some(message) = info.error_detail.and_then(|detail| detail.message) {
            outcome = Err(message);
            break;
        }
        let is_download = info.status.as_deref() == Some("Downloading");
        if let (true, Some(id), Some(progress)) = (is_download, info.id, info.progress_detail) {
            let number =
                |it: Option<i64>| it.and_then(|it| u64::try_from(it).ok()).unwrap_or_default();
            layers.insert(id, (number(progress.current), number(progress.total)));
            let (done, total) = layers
                .values()
                .fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
            scope.reporter.report(Event::Progress {
                what: &what,
                done,
                total: Some(total),
            });
        }
    }
    scope.reporter.report(Event::ProgressEnd { what: &what });
    outcome.map_err(|reason| {
        Refusal::Unavailable(format!(
            "Docker has no image {image} and cannot pull it ({})",
            reason.trim()
        ))
    })
}

/// One of the variables of an image or a container.
pub(super) fn variable(variables: Option<&Vec<String>>, name: &str) -> Option<String> {
    variables?
        .iter()
        .find_map(|it| Some(it.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}
