//! Migrations that are in the folder and not in the binary. The compiler notices that a file changes, not that one is
//! added, so a build that compiled nothing leaves the new one out; here the folder is looked at.

use std::path::Path;

use underlay_backends::postgres::migrations::{folder, read_dir};
use underlay_model::{Model, Problem};

/// An error for each database whose folder has other migrations than the binary.
///
/// Folders that cannot be found are passed over: the package lies outside of the workspace.
pub(crate) fn problems(model: &Model, root: &Path) -> Vec<Problem> {
    let mut problems = Vec::new();
    for database in &model.databases {
        let Some(folder) = folder(database, root) else {
            continue;
        };
        let Ok(on_disk) = read_dir(&folder) else {
            // The compiler has told what is wrong with it.
            continue;
        };
        let missing: Vec<String> = on_disk
            .iter()
            .filter(|file| {
                !database
                    .migrations
                    .iter()
                    .any(|it| it.number == file.number)
            })
            .map(|file| format!("`{}`", file.file))
            .collect();
        if !missing.is_empty() {
            problems.push(Problem::error(
                format!(
                    "the binary was compiled before the database `{}` had {}, and no source file has changed since; \
                     touch {} and build again",
                    database.name,
                    missing.join(", "),
                    database.source.file
                ),
                [database.source.clone()],
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use std::fs;

    use underlay_model::model::{Application, Database, Engine, Migration, Source};

    use super::*;

    #[test]
    fn a_file_that_was_added_later() {
        let root = std::env::temp_dir().join(format!("underlay-stale-{}", std::process::id()));
        fs::create_dir_all(root.join("shop/migrations")).unwrap();
        fs::write(root.join("shop/Cargo.toml"), "").unwrap();
        fs::write(root.join("shop/migrations/1_a.up.sql"), "").unwrap();
        let mut model = Model::empty(Application {
            name: "shop".to_owned(),
            version: String::new(),
        });
        model.databases.push(Database {
            name: "orders".to_owned(),
            engine: Engine::Postgres,
            migrations: vec![Migration {
                number: 1,
                description: "a".to_owned(),
                checksum: String::new(),
            }],
            migrations_dir: Some("migrations".to_owned()),
            outbox: false,
            service: String::new(),
            doc: String::new(),
            source: Source {
                file: "shop/src/main.rs".to_owned(),
                line: 3,
                column: 1,
                ..Source::default()
            },
        });
        assert!(problems(&model, &root).is_empty());
        fs::write(root.join("shop/migrations/2_b.up.sql"), "").unwrap();
        let found = problems(&model, &root);
        fs::remove_dir_all(&root).unwrap();
        let messages: Vec<_> = found.iter().map(|it| it.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "the binary was compiled before the database `orders` had `2_b.up.sql`, and no source file has changed \
                 since; touch shop/src/main.rs and build again"
            ]
        );
    }
}
