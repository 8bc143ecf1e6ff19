//! The naming rule of migration files: `{number}_{description}.up.sql`, and an optional `.down.sql` beside it.
//!
//! This file judges names; it neither reads folders nor knows what runs migrations.

use std::collections::BTreeMap;

/// A file in a migrations folder that is no migration: example data for development.
pub const SEED_FILE: &str = "seed.sql";

/// The name of a migration file, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName {
    /// The whole name.
    pub name: String,
    /// The number that orders it.
    pub number: i64,
    /// The description, with spaces for `_`, as sqlx has it.
    pub description: String,
    /// Whether it applies or takes back.
    pub direction: Direction,
}

/// Whether a migration file applies the migration or takes it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// `.up.sql`: applies it.
    Up,
    /// `.down.sql`: takes it back; only ever run by hand.
    Down,
}

/// Takes the name of a file in a migrations folder apart; `None` if it is not a migration: it does not end with
/// `.sql`, is hidden, or is [`SEED_FILE`].
///
/// # Errors
///
/// One sentence that says why the name of a `.sql` file does not follow the rule, and what to call it where that can
/// be derived.
///
/// # Example
///
/// ```
/// use underlay_model::migration::parse_file_name;
///
/// assert_eq!(parse_file_name("0001_create_orders.up.sql").unwrap().unwrap().number, 1);
/// assert_eq!(parse_file_name("README.md"), Ok(None));
/// assert!(parse_file_name("create_orders.sql").is_err());
/// ```
pub fn parse_file_name(name: &str) -> Result<Option<FileName>, String> {
    let is_sql = name.len() >= 4 && name.to_ascii_lowercase().ends_with(".sql");
    if !is_sql || name.starts_with('.') || name == SEED_FILE {
        return Ok(None);
    }
    let rule = "a migration is named `{number}_{description}.up.sql`";
    let (stem, direction) = if let Some(stem) = name.strip_suffix(".up.sql") {
        (stem, Direction::Up)
    } else if let Some(stem) = name.strip_suffix(".down.sql") {
        (stem, Direction::Down)
    } else {
        let stem = &name[..name.len() - ".sql".len()];
        let lower = stem.to_ascii_lowercase();
        let guess = if let Some(stem) = lower.strip_suffix(".up") {
            format!("{}.up.sql", &name[..stem.len()])
        } else if let Some(stem) = lower.strip_suffix(".down") {
            format!("{}.down.sql", &name[..stem.len()])
        } else {
            format!("{stem}.up.sql")
        };
        return Err(match parse_file_name(&guess) {
            Ok(Some(_)) => {
                format!(
                    "migration file `{name}` does not end with `.up.sql` or `.down.sql`; rename it to `{guess}`"
                )
            }
            _ => format!("migration file `{name}` does not follow the rule: {rule}"),
        });
    };
    let Some((digits, description)) = stem.split_once('_') else {
        return Err(
            match stem.bytes().all(|it| it.is_ascii_digit()) && !stem.is_empty() {
                true => format!("migration file `{name}` has no description: {rule}"),
                false => {
                    format!("migration file `{name}` does not start with a number and `_`: {rule}")
                }
            },
        );
    };
    if digits.is_empty() || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return Err(format!(
            "migration file `{name}` does not start with a number and `_`: {rule}"
        ));
    }
    if description.trim_matches('_').trim().is_empty() {
        return Err(format!(
            "migration file `{name}` has no description: {rule}"
        ));
    }
    if description.contains('.') {
        return Err(format!(
            "migration file `{name}` has a `.` in its description: {rule}"
        ));
    }
    let number = digits.parse().map_err(|_| {
        format!(
            "migration file `{name}` has a number above the limit, {} (64 bits)",
            i64::MAX
        )
    })?;
    let description = description.replace('_', " ");
    Ok(Some(FileName {
        name: name.to_owned(),
        number,
        description,
        direction,
    }))
}

/// What is wrong with the migrations of one folder together: a number used twice, or a `.down.sql` without its
/// `.up.sql`. In the order of the numbers, whatever the order of the files.
pub fn check_set(files: &[FileName]) -> Vec<String> {
    let mut by_number: BTreeMap<i64, Vec<&FileName>> = BTreeMap::new();
    for file in files {
        by_number.entry(file.number).or_default().push(file);
    }
    let mut problems = Vec::new();
    for (number, mut files) in by_number {
        files.sort_by(|a, b| (a.direction, &a.name).cmp(&(b.direction, &b.name)));
        for direction in [Direction::Up, Direction::Down] {
            let names: Vec<String> = files
                .iter()
                .filter(|it| it.direction == direction)
                .map(|it| format!("`{}`", it.name))
                .collect();
            if let [first, others @ ..] = names.as_slice()
                && !others.is_empty()
            {
                problems.push(format!(
                    "migration number {number} is used by {first} and by {}; give each file a number of its own",
                    others.join(" and by ")
                ));
            }
        }
        for down in files.iter().filter(|it| it.direction == Direction::Down) {
            let is_pair = |up: &&&FileName| {
                up.direction == Direction::Up && up.description == down.description
            };
            if files.iter().find(is_pair).is_none() {
                let missing = down.name.replace(".down.sql", ".up.sql");
                problems.push(format!(
                    "migration file `{}` has no `{missing}` beside it",
                    down.name
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_apart() {
        for (name, number, description, direction) in [
            ("1_init.up.sql", 1, "init", Direction::Up),
            (
                "0001_create_orders.up.sql",
                1,
                "create orders",
                Direction::Up,
            ),
            (
                "0001_create_orders.down.sql",
                1,
                "create orders",
                Direction::Down,
            ),
            (
                "20240102030405_add-index.up.sql",
                20_240_102_030_405,
                "add-index",
                Direction::Up,
            ),
            ("0_zero.up.sql", 0, "zero", Direction::Up),
            (
                "9223372036854775807_last.up.sql",
                i64::MAX,
                "last",
                Direction::Up,
            ),
            (
                "0000000000000000000000000003_x.up.sql",
                3,
                "x",
                Direction::Up,
            ),
        ] {
            let expected = FileName {
                name: name.to_owned(),
                number,
                description: description.to_owned(),
                direction,
            };
            assert_eq!(parse_file_name(name), Ok(Some(expected)));
        }
        for name in [
            "README.md",
            "seed.sql",
            "seed.sql.bak",
            ".0001_init.up.sql",
            "sql",
            "",
            "migration.toml",
        ] {
            assert_eq!(parse_file_name(name), Ok(None), "{name}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_name() {
        let rule = "a migration is named `{number}_{description}.up.sql`";
        let cases = [
            (
                "0001_init.sql",
                "migration file `0001_init.sql` does not end with `.up.sql` or `.down.sql`; \
                 rename it to `0001_init.up.sql`"
                    .to_owned(),
            ),
            (
                "1_init.UP.SQL",
                "migration file `1_init.UP.SQL` does not end with `.up.sql` or `.down.sql`; \
                 rename it to `1_init.up.sql`"
                    .to_owned(),
            ),
            (
                "init.sql",
                format!("migration file `init.sql` does not follow the rule: {rule}"),
            ),
            (".sql", String::new()),
            (
                "1.up.sql",
                format!("migration file `1.up.sql` has no description: {rule}"),
            ),
            (
                "1_.up.sql",
                format!("migration file `1_.up.sql` has no description: {rule}"),
            ),
            (
                "1__.up.sql",
                format!("migration file `1__.up.sql` has no description: {rule}"),
            ),
            (
                "_init.up.sql",
                format!(
                    "migration file `_init.up.sql` does not start with a number and `_`: {rule}"
                ),
            ),
            (
                "-1_init.up.sql",
                format!(
                    "migration file `-1_init.up.sql` does not start with a number and `_`: {rule}"
                ),
            ),
            (
                "v1_init.up.sql",
                format!(
                    "migration file `v1_init.up.sql` does not start with a number and `_`: {rule}"
                ),
            ),
            (
                "1_a.b.up.sql",
                format!("migration file `1_a.b.up.sql` has a `.` in its description: {rule}"),
            ),
            (
                "1_a.up.up.sql",
                format!("migration file `1_a.up.up.sql` has a `.` in its description: {rule}"),
            ),
            (
                "12345678901234567890_big.up.sql",
                "migration file `12345678901234567890_big.up.sql` has a number above the limit, \
                 9223372036854775807 (64 bits)"
                    .to_owned(),
            ),
        ];
        for (name, expected) in cases {
            assert_eq!(
                parse_file_name(name).err().unwrap_or_default(),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_set() {
        for (names, expected) in [
            (&["1_a.up.sql", "1_a.down.sql", "2_b.up.sql"][..], &[][..]),
            (
                &["1_b.up.sql", "01_a.up.sql", "2_c.up.sql", "1_a.up.sql"],
                &[
                    "migration number 1 is used by `01_a.up.sql` and by `1_a.up.sql` and by `1_b.up.sql`; \
                   give each file a number of its own",
                ],
            ),
            (
                &["2_x.down.sql", "1_a.down.sql", "1_b.up.sql"],
                &[
                    "migration file `1_a.down.sql` has no `1_a.up.sql` beside it",
                    "migration file `2_x.down.sql` has no `2_x.up.sql` beside it",
                ],
            ),
            (
                &["1_a.up.sql", "1_a.down.sql", "01_a.down.sql"],
                &[
                    "migration number 1 is used by `01_a.down.sql` and by `1_a.down.sql`; \
                   give each file a number of its own",
                ],
            ),
        ] {
            let files: Vec<FileName> = names
                .iter()
                .map(|it| parse_file_name(it).unwrap().unwrap())
                .collect();
            assert_eq!(check_set(&files), expected, "{names:?}");
        }
    }
}
