//! Slots: how a static finds what it is bound to. The only file that knows of test scopes.
//!
//! In a running application each slot is bound once, for the process, and finding it costs one atomic load. In a
//! test, a thread-local names the scope of the test that owns the thread: every thread of that test's runtime sets
//! it when it starts, so a task sees the scope of its test, whoever spawned it.
//! `docs/architecture.md` explains why the thread-local is sound.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What a static is bound to: once for the process, or once per test scope.
pub(crate) struct Slot<T> {
    process: OnceLock<T>,
}

impl<T: Send + Sync + 'static> Slot<T> {
    pub(crate) const fn new() -> Self {
        Self {
            process: OnceLock::new(),
        }
    }

    /// What this slot is bound to here, if it is bound.
    pub(crate) fn get(&self) -> Option<&T> {
        if let Some(bound) = self.process.get() {
            return Some(bound);
        }
        let scope = Scope::current()?;
        let values = scope.values.lock().unwrap_or_else(PoisonError::into_inner);
        values
            .get(&self.key())
            .and_then(|value| value.downcast_ref())
    }

    /// Binds the slot: in the current test scope if there is one, else for the process.
    ///
    /// A scope's slot can be bound anew; the process's keeps what it has, and `start` refuses a second start.
    pub(crate) fn bind(&'static self, value: T) {
        match Scope::current() {
            None => {
                let _ = self.process.set(value);
            }
            Some(scope) => {
                let mut values = scope.values.lock().unwrap_or_else(PoisonError::into_inner);
                // A handle lends its value for as long as the static lives, so a test's values are never freed:
                // a pool or a map per declaration and test.
                values.insert(self.key(), Box::leak(Box::new(value)));
            }
        }
    }

    fn key(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// Everything that is bound for one test.
#[derive(Default)]
pub(crate) struct Scope {
    values: Mutex<HashMap<usize, &'static (dyn Any + Send + Sync)>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Scope>>> = const { RefCell::new(None) };
}

impl Scope {
    /// The scope of the test that owns this thread.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Makes this thread belong to the scope, until it ends or another is entered.
    pub(crate) fn enter(scope: Option<Arc<Self>>) -> Option<Arc<Self>> {
        CURRENT.replace(scope)
    }
}
