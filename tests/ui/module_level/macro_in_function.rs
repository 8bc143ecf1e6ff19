//! A declaration by a macro that is used inside a function.

use underlay::prelude::*;

macro_rules! declare {
    ($name:ident) => {
        #[bucket]
        static $name: Bucket;
    };
}

declare!(UPLOADS);

fn f() {
    declare!(DOWNLOADS);
}

fn main() {}
