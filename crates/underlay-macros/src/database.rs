//! `#[database]` on `static ORDERS: Database;`: one that is declared here, or, with `named`, one that is elsewhere.

use proc_macro2::TokenStream;
use quote::quote;
use underlay_model::model::{Database, Engine, Migration, Reference, ResourceKind};
use underlay_model::{Declaration, name};

use crate::errors::Errors;
use crate::expansion::{Expansion, Registration};
use crate::fragment::{Holes, plain};
use crate::marker::marker;
use crate::migrations::{self, File};
use crate::options::{Grammar, Options};
use crate::source::source;
use crate::static_item::{StaticItem, cfgs};

static GRAMMAR: Grammar = Grammar {
    attribute: "database",
    target: "",
    example: "",
    name: true,
    keys: &["migrations", "named", "outbox"],
};

struct Args {
    name: String,
    /// Whether the database is declared elsewhere.
    is_reference: bool,
    migrations_dir: Option<String>,
    migrations: Vec<File>,
    outbox: bool,
}

pub(crate) fn attribute(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut item = match StaticItem::parse("database", "Database", item, &mut errors) {
        Ok(item) => item,
        Err(as_written) => return as_written,
    };
    let right = quote!(::underlay::__private::Database);
    let is_right = item.type_name() == "Database";
    item.require_type("database", is_right, "`Database`", right, &mut errors);
    let args = parse(&item, options, &mut errors);
    expand(&item, &args, &errors)
}

fn parse(item: &StaticItem, options: TokenStream, errors: &mut Errors) -> Args {
    let options = Options::parse(&GRAMMAR, options, errors);
    if options.key("named").is_some() {
        return parse_reference(&options, errors);
    }
    let dir = options.text("migrations", "migrations", errors);
    Args {
        is_reference: false,
        name: options.checked_name(
            &item.ident,
            item.kebab_name(),
            name::check_snake_or_kebab,
            errors,
        ),
        migrations: dir
            .as_ref()
            .map(|dir| migrations::read(dir, errors))
            .unwrap_or_default(),
        migrations_dir: dir.map(|it| it.value()),
        outbox: options.flag("outbox", errors),
    }
}

fn parse_reference(options: &Options, errors: &mut Errors) -> Args {
    let declared = "is declared elsewhere, and that declaration says";
    if let Some(name) = &options.name {
        errors.push(
            name,
            format!("a database that is `named` {declared} its name; remove this one"),
        );
    }
    if let Some(key) = options.key("migrations") {
        errors.push(
            key,
            format!("a database that is `named` {declared} where its migrations are; remove this"),
        );
    }
    if let Some(key) = options.key("outbox") {
        errors.push(
            key,
            format!("a database that is `named` {declared} whether it has an outbox; remove this"),
        );
    }
    let named = options.text("named", "orders", errors);
    if let Some(named) = &named
        && let Err(problem) = name::check_snake_or_kebab(&named.value())
    {
        errors.push(named, problem);
    }
    Args {
        name: named.map(|it| it.value()).unwrap_or_default(),
        is_reference: true,
        migrations_dir: None,
        migrations: Vec::new(),
        outbox: false,
    }
}

fn expand(item: &StaticItem, args: &Args, errors: &Errors) -> TokenStream {
    let StaticItem {
        attrs,
        vis,
        ident,
        ty,
    } = item;
    let Args {
        name,
        is_reference,
        migrations_dir,
        migrations,
        outbox,
    } = args;
    let marker = marker(item);
    let cfgs = cfgs(attrs);
    let embedded = migrations.iter().map(
        |File {
             number,
             description,
             file,
             path,
             ..
         }| {
            quote! {
                ::underlay::__private::EmbeddedMigration {
                    number: #number,
                    description: #description,
                    file: #file,
                    sql: ::underlay::__private::core::include_str!(#path),
                }
            }
        },
    );
    let items = quote! {
        #(#attrs)*
        #vis static #ident: #ty = ::underlay::__private::Database::__new(#name, &[#(#embedded),*]);
        #marker
        #(#cfgs)*
        impl ::underlay::__private::DeclaredDatabase for #ident {
            const NAME: &'static ::underlay::__private::core::primitive::str = #name;

            fn database() -> &'static ::underlay::__private::Database {
                &#ident
            }
        }
    };
    let registration = errors.is_empty().then(|| {
        let mut holes = Holes::default();
        let migrations = migrations.iter().map(|file| Migration {
            number: file.number,
            description: plain(&file.description),
            checksum: file.checksum.clone(),
        });
        let migrations = migrations.collect();
        let (service, doc) = (String::new(), item.doc());
        let source = source(ident.span(), holes.module());
        let declaration = if *is_reference {
            Declaration::Reference(Reference {
                name: item.kebab_name(),
                kind: ResourceKind::Database,
                resource: name.clone(),
                permissions: vec!["ReadWrite".to_owned()],
                service,
                doc,
                source,
            })
        } else {
            Declaration::Database(Database {
                name: name.clone(),
                engine: Engine::Postgres,
                migrations,
                migrations_dir: migrations_dir.as_deref().map(plain),
                outbox: *outbox,
                service,
                doc,
                source,
            })
        };
        Registration {
            declaration: Some(declaration),
            holes,
            item: quote!(Database(&#ident)),
        }
    });
    let block = TokenStream::new();
    Expansion {
        attribute: "database",
        keyword: "static",
        ident,
        attrs,
        items,
        fallback: TokenStream::new(),
        block,
        registration,
    }
    .into_tokens(errors)
}
