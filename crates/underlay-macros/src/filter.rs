//! `filter = country == "DE" && kind != "test"`: which messages a subscription wants, written as a Rust expression.
//!
//! It knows what a filter may say, which is no more than every broker can keep. Whether the message has the attributes,
//! it cannot know; the compiler checks that later.

use std::collections::btree_map::Entry;

use proc_macro2::Ident;
use syn::ext::IdentExt as _;
use syn::{BinOp, Expr, ExprBinary, ExprUnary, Lit, UnOp};
use underlay_model::filter::{Condition, Filter};

use crate::errors::Errors;
use crate::fragment::plain;
use crate::options::Options;

const EXPECTED: &str = "a filter has one condition for each attribute, joined by `&&`: `attr == value`, `attr != value`, \
                        `attr.starts_with(\"text\")`, `(attr == a || attr == b)`, or `attr` and `!attr` for a `bool`; \
                        values are literals";

/// The option, with the attributes as they are written.
#[derive(Default)]
pub(crate) struct Parsed {
    pub(crate) filter: Filter,
    pub(crate) attributes: Vec<Ident>,
}

/// Reads the option; without it, every message is wanted.
pub(crate) fn parse(options: &Options, errors: &mut Errors) -> Parsed {
    let mut parsed = Parsed::default();
    let example = "a condition such as `country == \"DE\"`";
    let Some(value) = options.value("filter", example, errors) else {
        return parsed;
    };
    let Ok(expr) = syn::parse2::<Expr>(value.clone()) else {
        errors.push(value, EXPECTED);
        return parsed;
    };
    let mut conditions = Vec::new();
    joined(&expr, is_and, &mut conditions);
    for expr in conditions {
        match condition(expr) {
            Some((ident, condition)) => parsed.add(ident, condition, errors),
            None => errors.push(expr, EXPECTED),
        }
    }
    parsed
}

impl Parsed {
    fn add(&mut self, ident: &Ident, condition: Condition, errors: &mut Errors) {
        let name = ident.unraw().to_string();
        match self.filter.0.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(condition);
                self.attributes.push(ident.clone());
            }
            Entry::Occupied(mut entry) => match (entry.get_mut(), condition) {
                (Condition::NoneOf(values), Condition::NoneOf(more)) => values.extend(more),
                _ => errors.push(
                    ident,
                    format!(
                        "`{ident}` has a condition already; one is possible for each attribute, such as \
                         `({ident} == a || {ident} == b)`, and several `!=`"
                    ),
                ),
            },
        }
    }
}

fn condition(expr: &Expr) -> Option<(&Ident, Condition)> {
    let is = |value| Condition::AnyOf(vec![value]);
    Some(match expr {
        Expr::Binary(binary) => match binary.op {
            BinOp::Or(_) => return alternatives(expr),
            BinOp::Eq(_) => (attribute(&binary.left)?, is(value(&binary.right)?)),
            BinOp::Ne(_) => {
                let value = value(&binary.right)?;
                (attribute(&binary.left)?, Condition::NoneOf(vec![value]))
            }
            _ => return None,
        },
        Expr::MethodCall(call) if call.method == "starts_with" && call.turbofish.is_none() => {
            let prefix = match call.args.first()? {
                Expr::Lit(lit) if call.args.len() == 1 => text(&lit.lit)?,
                _ => return None,
            };
            (attribute(&call.receiver)?, Condition::Prefix(prefix))
        }
        Expr::Unary(ExprUnary {
            op: UnOp::Not(_),
            expr,
            ..
        }) => (attribute(expr)?, is(false.to_string())),
        expr => (attribute(expr)?, is(true.to_string())),
    })
}

/// `attr == a || attr == b`, of one attribute.
fn alternatives(expr: &Expr) -> Option<(&Ident, Condition)> {
    let mut parts = Vec::new();
    joined(expr, is_or, &mut parts);
    let mut of = None;
    let mut values = Vec::new();
    for part in parts {
        let Expr::Binary(ExprBinary {
            left,
            op: BinOp::Eq(_),
            right,
            ..
        }) = part
        else {
            return None;
        };
        let ident = attribute(left)?;
        if of.is_some_and(|of| of != ident) {
            return None;
        }
        of = Some(ident);
        values.push(value(right)?);
    }
    Some((of?, Condition::AnyOf(values)))
}

/// The parts of an expression that an operator joins, without the parentheses around them.
fn joined<'a>(expr: &'a Expr, is_joint: fn(&BinOp) -> bool, parts: &mut Vec<&'a Expr>) {
    match bare(expr) {
        Expr::Binary(binary) if is_joint(&binary.op) => {
            joined(&binary.left, is_joint, parts);
            joined(&binary.right, is_joint, parts);
        }
        expr => parts.push(expr),
    }
}

fn is_and(op: &BinOp) -> bool {
    matches!(op, BinOp::And(_))
}

fn is_or(op: &BinOp) -> bool {
    matches!(op, BinOp::Or(_))
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(paren) => bare(&paren.expr),
        Expr::Group(group) => bare(&group.expr),
        expr => expr,
    }
}

fn attribute(expr: &Expr) -> Option<&Ident> {
    match bare(expr) {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident(),
        _ => None,
    }
}

/// A literal as `AttributeValue` writes such a value.
fn value(expr: &Expr) -> Option<String> {
    match bare(expr) {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Int(number) => Some(number.base10_digits().to_owned()),
            Lit::Bool(flag) => Some(flag.value.to_string()),
            lit => text(lit),
        },
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_),
            expr,
            ..
        }) => match bare(expr) {
            Expr::Lit(lit) => match &lit.lit {
                Lit::Int(number) if number.base10_digits() == "0" => Some("0".to_owned()),
                Lit::Int(number) => Some(format!("-{}", number.base10_digits())),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn text(lit: &Lit) -> Option<String> {
    match lit {
        Lit::Str(text) => Some(plain(&text.value())),
        _ => None,
    }
}
