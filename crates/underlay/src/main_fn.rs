//! What `#[underlay::main]` does around the user's `main`.

use std::future::Future;
use std::process::ExitCode;

/// What a `main` may return.
#[diagnostic::on_unimplemented(
    message = "`main` returns `()`, `ExitCode` or `Result<(), E>`, found `{Self}`",
    label = "expected `Result<(), E>`, where `E` converts into `Box<dyn Error + Send + Sync>`"
)]
pub trait Outcome {
    /// The exit code; failures are told on standard error first.
    fn exit_code(self) -> ExitCode;
}

#[diagnostic::do_not_recommend]
impl Outcome for ExitCode {
    fn exit_code(self) -> ExitCode {
        self
    }
}

#[diagnostic::do_not_recommend]
impl Outcome for () {
    fn exit_code(self) -> ExitCode {
        ExitCode::SUCCESS
    }
}

#[diagnostic::do_not_recommend]
impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> Outcome for Result<(), E> {
    fn exit_code(self) -> ExitCode {
        match self {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => tell(&*error.into()),
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "this is the end of the user's `main`, not a library"
)]
fn code(error: &(dyn std::error::Error + Send + Sync + 'static)) -> u8 {
    eprintln!("error: {}", crate::error::chain(error));
    match error.downcast_ref::<crate::Error>().map(crate::Error::kind) {
        Some(crate::ErrorKind::Configuration) => 2,
        _ => 1,
    }
}

fn tell(error: &(dyn std::error::Error + Send + Sync + 'static)) -> ExitCode {
    ExitCode::from(code(error))
}

/// The exit code of a job that came to this; a failure is told on standard error first.
pub(crate) fn status(outcome: crate::Result<()>) -> i32 {
    match outcome.map_err(|error| code(&error)) {
        Ok(()) => 0,
        Err(code) => code.into(),
    }
}

/// Runs the body of `main` on a multi-threaded runtime; or the job that the environment asks for, in its place.
pub fn main<F: Future<Output: Outcome>>(body: impl FnOnce() -> F) -> ExitCode {
    crate::logs::install();
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(async {
            match crate::task::asked() {
                Ok(None) => body().await.exit_code(),
                Ok(Some(task)) => crate::task::run(task).await.exit_code(),
                Err(error) => tell(&error),
            }
        }),
        Err(error) => tell(
            &crate::Error::message("the async runtime could not be started").with_source(error),
        ),
    }
}
