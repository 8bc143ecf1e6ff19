//! Declarations in a module inside a function. The attributes cannot tell them from others while compiling, so the
//! source text is looked at here.

use std::{collections::BTreeMap, fs, path::Path};

use syn::{spanned::Spanned as _, visit::Visit};
use underlay_model::{Declaration, Problem, Source};

/// A warning for each declaration whose place in the source lies inside a function.
///
/// Files that cannot be read or parsed are passed over: they lie outside the workspace, or a macro made the code.
pub(crate) fn problems(declarations: &[Declaration], root: &Path) -> Vec<Problem> {
    let mut functions: BTreeMap<&str, Vec<Function>> = BTreeMap::new();
    let mut problems = Vec::new();
    for source in declarations.iter().filter_map(Declaration::source) {
        let in_file = functions.entry(&source.file).or_insert_with(|| {
            let text = fs::read_to_string(root.join(&source.file)).unwrap_or_default();
            functions_of(&text)
        });
        if let Some(function) = in_file.iter().find(|it| it.contains(source)) {
            problems.push(Problem::warning(
                format!(
                    "declared in a module inside the function `{}`, where nobody looks for it; \
                     move it to module level",
                    function.name
                ),
                [source.clone()],
            ));
        }
    }
    problems
}

/// A function and the lines and columns, both from 1, that its body spans.
struct Function {
    name: String,
    start: (u32, u32),
    end: (u32, u32),
}

impl Function {
    fn contains(&self, source: &Source) -> bool {
        (self.start..self.end).contains(&(source.line, source.column))
    }
}

fn functions_of(text: &str) -> Vec<Function> {
    let mut found = Functions(Vec::new());
    if let Ok(file) = syn::parse_file(text) {
        found.visit_file(&file);
    }
    found.0
}

struct Functions(Vec<Function>);

impl Functions {
    fn add(&mut self, name: &syn::Ident, body: &syn::Block) {
        let span = body.span();
        let place = |at: proc_macro2::LineColumn| {
            let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            (number(at.line), number(at.column).saturating_add(1))
        };
        self.0.push(Function {
            name: name.to_string(),
            start: place(span.start()),
            end: place(span.end()),
        });
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add(&function.sig.ident, &function.block);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig.ident, &function.block);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(body) = &function.default {
            self.add(&function.sig.ident, body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_inside_functions() {
        let text = "\
mod outside {
    #[bucket] static A: Bucket;
}
fn f() {
    mod inside {
        #[bucket] static B: Bucket;
    }
}
struct S;
impl S { fn m() { mod inside { #[bucket] static C: Bucket; } } }
#[bucket] static D: Bucket;
";
        let functions = functions_of(text);
        let check = |ident: &str, expected: Option<&str>| {
            let at = text.find(&format!("static {ident}")).unwrap() + "static ".len();
            let before = &text[..at];
            let line_start = before.rfind('\n').map_or(0, |index| index + 1);
            let source = Source {
                line: u32::try_from(before.matches('\n').count() + 1).unwrap(),
                column: u32::try_from(at - line_start + 1).unwrap(),
                ..Source::default()
            };
            let found = functions.iter().find(|it| it.contains(&source));
            assert_eq!(found.map(|it| it.name.as_str()), expected, "{ident}");
        };
        check("A", None);
        check("B", Some("f"));
        check("C", Some("m"));
        check("D", None);
    }
}
