//! The `#[database]` statics of a crate, read from its source by way of its modules. Knows no workspace.
//!
//! Modules that are compiled for tests only are left out.

use std::{
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, Expr, ExprLit, Ident, Item, ItemMod, Lit, LitStr, Meta, Token, Visibility,
    ext::IdentExt as _,
    parse::{ParseStream, Parser as _},
};
use underlay_model::Source;

/// What a crate's files say.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) databases: Vec<Static>,
    /// The files that are no Rust, and why.
    pub(crate) unreadable: Vec<(PathBuf, syn::Error)>,
}

/// A static under `#[database]`.
pub(crate) struct Static {
    pub(crate) file: PathBuf,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) ident: String,
    pub(crate) options: syn::Result<Options>,
    /// Whether it, or a module that it is in, is only compiled under some condition.
    pub(crate) is_conditional: bool,
}

/// What stands in `#[database(…)]`, as far as it counts for where a database is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) name: Option<String>,
    pub(crate) migrations: Option<String>,
    /// Whether it has an outbox.
    pub(crate) outbox: bool,
    /// Whether the static stands for a database that is declared elsewhere.
    pub(crate) is_reference: bool,
}

/// Reads the crate with this root file.
pub(crate) fn read(root: &Path) -> Tree {
    let mut tree = Tree::default();
    let folder = root.parent().unwrap_or(Path::new("")).to_owned();
    tree.file(root, &folder, false);
    tree
}

/// Where a syntax error is.
pub(crate) fn place(error: &syn::Error) -> Source {
    let (line, column) = line_and_column(error.span());
    Source {
        line,
        column,
        ..Source::default()
    }
}

impl Tree {
    /// Reads a file whose modules without a path lie in `folder`.
    fn file(&mut self, path: &Path, folder: &Path, is_conditional: bool) {
        // A file that is not there is the compiler's business, or behind a condition that does not hold here.
        let Ok(text) = fs::read_to_string(path) else {
            return;
        };
        match syn::parse_file(&text) {
            Ok(file) if is_for_tests(&file.attrs) => {}
            Ok(file) => self.items(&file.items, path, folder, false, is_conditional),
            Err(error) => self.unreadable.push((path.to_owned(), error)),
        }
    }

    fn items(
        &mut self,
        items: &[Item],
        path: &Path,
        folder: &Path,
        is_inline: bool,
        is_conditional: bool,
    ) {
        for item in items {
            match item {
                Item::Mod(module) => self.module(module, path, folder, is_inline, is_conditional),
                // What syn calls verbatim is a static without a value, among others.
                Item::Verbatim(tokens) => {
                    let parser = |input: ParseStream<'_>| parse_static(input, path, is_conditional);
                    if let Ok(Some(found)) = parser.parse2(tokens.clone()) {
                        self.databases.push(found);
                    }
                }
                _ => {}
            }
        }
    }

    fn module(
        &mut self,
        module: &ItemMod,
        path: &Path,
        folder: &Path,
        is_inline: bool,
        is_conditional: bool,
    ) {
        if is_for_tests(&module.attrs) {
            return;
        }
        let is_conditional = is_conditional || is_conditional_by(&module.attrs);
        let name = module.ident.unraw().to_string();
        let given = path_attribute(&module.attrs);
        // `#[path]` counts from the folder of the file; inside an inline module, from that module's folder.
        let base = match path.parent() {
            Some(parent) if !is_inline => parent,
            _ => folder,
        };
        match (&module.content, given) {
            (Some((_, items)), given) => {
                let folder = given.map_or_else(|| folder.join(&name), |it| base.join(it));
                self.items(items, path, &folder, true, is_conditional);
            }
            (None, Some(given)) => {
                let file = base.join(given);
                let folder = file.parent().unwrap_or(base).to_owned();
                self.file(&file, &folder, is_conditional);
            }
            (None, None) => {
                let inner = folder.join(&name);
                let file = folder.join(format!("{name}.rs"));
                let file = if file.is_file() {
                    file
                } else {
                    inner.join("mod.rs")
                };
                self.file(&file, &inner, is_conditional);
            }
        }
    }
}

/// A static without a value, if `#[database]` stands on it.
fn parse_static(
    input: ParseStream<'_>,
    file: &Path,
    is_conditional: bool,
) -> syn::Result<Option<Static>> {
    let attributes = input.call(Attribute::parse_outer)?;
    input.parse::<Visibility>()?;
    let is_static = input.parse::<Option<Token![static]>>()?.is_some();
    input.parse::<Option<Token![mut]>>()?;
    let ident = input.call(Ident::parse_any);
    input.parse::<proc_macro2::TokenStream>()?;
    let attribute = attributes.iter().find(|it| is_database(it.path()));
    let (true, Ok(ident), Some(attribute)) = (is_static, ident, attribute) else {
        return Ok(None);
    };
    if is_for_tests(&attributes) {
        return Ok(None);
    }
    let (line, column) = line_and_column(ident.span());
    Ok(Some(Static {
        file: file.to_owned(),
        line,
        column,
        ident: ident.to_string(),
        options: options(&attribute.meta),
        is_conditional: is_conditional || is_conditional_by(&attributes),
    }))
}

/// `#[database]`, alone or by way of `underlay`.
fn is_database(path: &syn::Path) -> bool {
    let is_ours = path.segments.len() == 1
        || path
            .segments
            .first()
            .is_some_and(|first| first.ident == "underlay");
    is_ours
        && path
            .segments
            .last()
            .is_some_and(|last| last.ident == "database")
}

fn options(meta: &Meta) -> syn::Result<Options> {
    let list = match meta {
        Meta::List(list) => list,
        _ => return Ok(Options::default()),
    };
    let parser = |input: ParseStream<'_>| {
        let mut options = Options::default();
        while !input.is_empty() {
            if input.peek(LitStr) {
                options.name = Some(input.parse::<LitStr>()?.value());
            } else {
                let key = input.call(Ident::parse_any)?;
                let value = match input.parse::<Option<Token![=]>>()? {
                    Some(_) => Some(input.parse::<Expr>()?),
                    None => None,
                };
                match (key.to_string().as_str(), value.as_ref().and_then(text)) {
                    ("migrations", Some(text)) => options.migrations = Some(text),
                    ("migrations", None) => {
                        let message =
                            "`migrations` is a text, such as `migrations = \"migrations\"`";
                        return Err(syn::Error::new(key.span(), message));
                    }
                    ("named", _) => options.is_reference = true,
                    ("outbox", _) => options.outbox = value.as_ref().is_none_or(is_true),
                    _ => {}
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    };
    parser.parse2(list.tokens.clone())
}

fn text(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    }
}

fn is_true(value: &Expr) -> bool {
    matches!(value, Expr::Lit(ExprLit { lit: Lit::Bool(flag), .. }) if flag.value)
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|it| match &it.meta {
        Meta::NameValue(meta) if meta.path.is_ident("path") => text(&meta.value),
        _ => None,
    })
}

fn is_conditional_by(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|it| it.path().is_ident("cfg"))
}

/// Whether `#[cfg(test)]`, or one that includes it, stands on an item.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .filter(|it| it.path().is_ident("cfg"))
        .any(|it| it.parse_args::<Meta>().is_ok_and(|it| needs_test(&it)))
}

fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => {
            let parts = syn::punctuated::Punctuated::<Meta, Token![,]>::parse_terminated;
            parts
                .parse2(list.tokens.clone())
                .is_ok_and(|parts| parts.iter().any(needs_test))
        }
        _ => false,
    }
}

fn line_and_column(span: proc_macro2::Span) -> (u32, u32) {
    let start = span.start();
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (number(start.line), number(start.column).saturating_add(1))
}
