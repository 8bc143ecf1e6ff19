//! Where the files of native servers lie, and whose they are.
//!
//! It knows folders and what protects them, and nothing of how a server is started.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
    },
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{
    Rung, Scope,
    account::{self, Account},
    supervisor,
};
use crate::{
    Kind,
    checkout::{Checkout, write_private},
    error::{Error, ErrorKind},
    manage::ServerStatus,
    report::{Event, Reporter},
};

/// The least free space in kilobytes for which a test cluster is kept in memory: containers often have 64 MB there.
const LEAST_MEMORY: u64 = 768 * 1024;

/// The file in a run folder that says whose it is.
const OWNER: &str = "owner.json";

/// The file beside clusters outside the checkout with the path of its root.
const ROOT: &str = "root";

/// Where files are in memory, on Linux.
const MEMORY: &str = "/dev/shm";

/// Whose server a run folder belongs to.
#[derive(serde::Serialize, serde::Deserialize)]
struct Owner {
    application: String,
    root: PathBuf,
    checkout: String,
    namespace: String,
    kind: Kind,
    data: PathBuf,
}

impl Owner {
    /// The lock that whoever starts this server holds.
    fn start_lock(&self) -> PathBuf {
        let folder = self.root.join(".underlay").join(&self.namespace);
        folder.join(format!("{}.lock", self.kind.stem()))
    }
}

/// Where the files of one server lie.
pub(super) struct Place {
    /// Socket, FIFO and script: private, short, in the temporary folder.
    pub(super) run: PathBuf,
    /// The cluster.
    pub(super) data: PathBuf,
    /// The server's log.
    pub(super) log: PathBuf,
    /// Who runs the server, when not we ourselves.
    pub(super) account: Option<Account>,
    uid: u32,
    owner: Owner,
}

impl Place {
    /// Creates the run folder, which the supervisor of an earlier server has taken away with it.
    pub(super) fn provide_run(&self) -> Result<(), Error> {
        private_folder(&self.run, self.uid, self.account.as_ref())?;
        let text = serde_json::to_vec_pretty(&self.owner)
            .map_err(|error| failure(format!("cannot describe a server: {error}")))?;
        write_private(&self.run.join(OWNER), &text)
    }
}

/// The folder with the socket of a namespace's server.
pub(crate) async fn run_folder(scope: &Scope<'_>) -> Result<PathBuf, Error> {
    let uid = account::own_uid().await?;
    Ok(run_folder_of(
        uid,
        &scope.checkout.id,
        scope.namespace,
        scope.kind,
    ))
}

fn run_folder_of(uid: u32, checkout: &str, namespace: &str, kind: Kind) -> PathBuf {
    let digest = Sha256::digest(format!("{checkout} {namespace} {}", kind.name()));
    let name = format!("underlay-{uid}-{}", hex::encode(&digest[..5]));
    // A socket's path may have about a hundred bytes, and `/.s.PGSQL.5432.lock` is appended.
    let mut folder = env::temp_dir();
    if folder.as_os_str().len() + name.len() > 80 {
        folder = PathBuf::from("/tmp");
    }
    folder.join(name)
}

fn failure(message: String) -> Error {
    Error::new(ErrorKind::Native, message)
}

/// Decides where the files lie, and creates the folders that outlast a server.
pub(super) async fn prepare(scope: &Scope<'_>) -> Result<Place, Error> {
    let uid = account::own_uid().await?;
    let account = if uid == 0 {
        Some(account::for_root().await?)
    } else {
        None
    };
    let run = run_folder_of(uid, &scope.checkout.id, scope.namespace, scope.kind);
    let state = scope.folder();
    let data = data_folder(scope, uid, account.as_ref()).await?;
    let owner = Owner {
        application: scope.application.to_owned(),
        root: scope.checkout.root.clone(),
        checkout: scope.checkout.id.clone(),
        namespace: scope.namespace.to_owned(),
        kind: scope.kind,
        data: data.clone(),
    };
    Ok(Place {
        run,
        data,
        log: state.join(format!("{}.log", scope.kind.stem())),
        account,
        uid,
        owner,
    })
}

async fn data_folder(
    scope: &Scope<'_>,
    uid: u32,
    account: Option<&Account>,
) -> Result<PathBuf, Error> {
    let name = format!("underlay-{uid}-{}", scope.checkout.id);
    let outer = match scope.kind {
        Kind::Run => {
            match account.and_then(|account| account::barrier(&scope.checkout.state, account)) {
                None => return Ok(scope.folder().join("postgres")),
                Some(barrier) => {
                    let outer = Path::new("/var/tmp").join(&name);
                    let message = format!(
                        "the data of PostgreSQL lies in {}, because root may not run it and {} is closed to others",
                        outer.display(),
                        barrier.display()
                    );
                    scope.reporter.report(Event::Debug { message: &message });
                    outer
                }
            }
        }
        Kind::Test => {
            let disk = env::temp_dir().join(&name);
            let memory = Path::new(MEMORY).join(&name);
            // Where a cluster is already, it stays, whatever space is left.
            if disk.exists() || (!memory.exists() && !has_memory().await) {
                disk
            } else {
                memory
            }
        }
    };
    private_folder(&outer, uid, None)?;
    if account.is_some() {
        // The account that runs the server must get through.
        fs::set_permissions(&outer, fs::Permissions::from_mode(0o711))
            .map_err(|error| Error::state("open", &outer, &error))?;
    }
    let root = scope.checkout.root.as_os_str().as_bytes();
    write_private(&outer.join(ROOT), root)?;
    Ok(outer.join(format!("{}-{}", scope.namespace, scope.kind.stem())))
}

/// Whether `/dev/shm` is there with room for a cluster and the databases of many tests.
async fn has_memory() -> bool {
    let folder = Path::new(MEMORY);
    folder.is_dir()
        && super::free_kilobytes(folder)
            .await
            .is_some_and(|kilobytes| kilobytes >= LEAST_MEMORY)
}

/// Creates a folder that only its owner can enter; refuses one that somebody else has put in its place.
fn private_folder(path: &Path, uid: u32, account: Option<&Account>) -> Result<(), Error> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {
            if let Some(account) = account {
                chown(path, Some(account.uid), Some(account.gid))
                    .map_err(|error| Error::state("give away", path, &error))?;
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let metadata = fs::symlink_metadata(path)
                .map_err(|error| Error::state("look at", path, &error))?;
            let owner = account.map_or(uid, |account| account.uid);
            if metadata.is_dir() && metadata.uid() == owner && metadata.mode() & 0o022 == 0 {
                return Ok(());
            }
            Err(failure(format!(
                "{} is not a private folder of ours (owner {}, mode {:03o}); remove it",
                path.display(),
                metadata.uid(),
                metadata.mode() & 0o777,
            )))
        }
        Err(error) => Err(Error::state("create", path, &error)),
    }
}

pub(super) fn remove_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::state("remove", path, &error))
        }
        _ => Ok(()),
    }
}

/// The run folders of this user, with whose they are; of all checkouts.
async fn owners() -> Result<Vec<(PathBuf, Owner)>, Error> {
    let folders = folders_of_ours(&[env::temp_dir(), PathBuf::from("/tmp")]).await?;
    let owner_of = |folder: PathBuf| {
        // Other folders of ours have no such file; one that is being written is a server that is not up yet.
        let text = fs::read(folder.join(OWNER)).ok()?;
        Some((folder, serde_json::from_slice(&text).ok()?))
    };
    Ok(folders.into_iter().filter_map(owner_of).collect())
}

/// What this user's Underlay has in some folders.
async fn folders_of_ours(parents: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let uid = account::own_uid().await?;
    let prefix = format!("underlay-{uid}-");
    let mut folders = Vec::new();
    for parent in parents {
        // The temporary folder may be named twice, and not every platform has each.
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            // What root's servers have is another account's.
            let is_ours = entry.file_name().to_string_lossy().starts_with(&prefix)
                && (uid == 0 || entry.metadata().is_ok_and(|it| it.uid() == uid));
            if is_ours && !folders.contains(&entry.path()) {
                folders.push(entry.path());
            }
        }
    }
    Ok(folders)
}

/// The native servers of this user that run, of all checkouts.
pub(crate) async fn running_natives() -> Result<Vec<ServerStatus>, Error> {
    let mut servers = Vec::new();
    for (run, owner) in owners().await? {
        let Some(postmaster) = supervisor::postmaster(&owner.data) else {
            continue;
        };
        if !supervisor::is_there(&run)?
            && !supervisor::is_postmaster_of(postmaster.pid, &owner.data).await
        {
            continue;
        }
        let folder = Checkout {
            root: owner.root.clone(),
            state: owner.root.join(".underlay"),
            id: owner.checkout.clone(),
        };
        let rung = match super::record::read(&folder, &owner.namespace, owner.kind) {
            Ok(Some(record)) => record.rung,
            _ => Rung::Native,
        };
        servers.push(ServerStatus {
            application: owner.application,
            root: owner.root,
            checkout: owner.checkout,
            namespace: owner.namespace,
            kind: owner.kind,
            rung,
            is_running: true,
            address: Some(run.display().to_string()),
            name: format!("process {}", postmaster.pid),
            status: String::new(),
        });
    }
    Ok(servers)
}

/// Stops the native servers of a namespace, and removes their run folders; says what it stopped.
pub(crate) async fn stop_natives(
    checkout: &Checkout,
    namespace: &str,
) -> Result<Vec<String>, Error> {
    let mut stopped = Vec::new();
    for (run, owner) in owners().await? {
        if owner.checkout != checkout.id || owner.namespace != namespace {
            continue;
        }
        if let Some(postmaster) = supervisor::postmaster(&owner.data)
            && supervisor::is_postmaster_of(postmaster.pid, &owner.data).await
        {
            supervisor::stop_server(postmaster.pid, &owner.data).await?;
            stopped.push(format!(
                "postgres {} (process {})",
                owner.kind.name(),
                postmaster.pid
            ));
        }
        remove_folder(&run)?;
    }
    Ok(stopped)
}

/// Removes the run folders of servers that ended without their supervisor, and the test clusters of checkouts that are
/// gone: worktrees come and go, and memory is dear.
///
/// What cannot be removed costs space, and must not cost this start.
pub(super) async fn remove_leftovers(reporter: &dyn Reporter) -> Result<(), Error> {
    let remove = |path: &Path, root: &Path| {
        let message = match remove_folder(path) {
            Ok(()) => format!("removed what was left of {}", root.display()),
            Err(error) => format!("something is left of {}: {error}", root.display()),
        };
        reporter.report(Event::Debug { message: &message });
    };
    for (run, owner) in owners().await? {
        if supervisor::is_there(&run)? || is_running(&owner.data).await {
            continue;
        }
        // Held until the folder is gone: somebody may be about to start a server there.
        let lock = match File::open(owner.start_lock()) {
            Ok(file) if file.try_lock().is_err() => continue,
            lock => lock,
        };
        remove(&run, &owner.root);
        drop(lock);
    }
    'clusters: for (folder, root) in clusters().await? {
        if root.exists() {
            continue;
        }
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_data = path.is_dir() && !is_of_tests(&path);
            if is_data || is_running(&path).await {
                continue 'clusters;
            }
        }
        remove(&folder, &root);
    }
    Ok(())
}

/// Whether a server runs on a cluster.
async fn is_running(data: &Path) -> bool {
    match supervisor::postmaster(data) {
        Some(postmaster) => supervisor::is_postmaster_of(postmaster.pid, data).await,
        None => false,
    }
}

/// Whether a cluster holds nothing to keep. Others stay: a checkout on a disk that is not mounted is only away.
fn is_of_tests(data: &Path) -> bool {
    let name = data.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".new").unwrap_or(&name);
    name.ends_with(&format!("-{}", Kind::Test.stem()))
}

/// The folders of this user with clusters outside a checkout, with the checkout's root.
async fn clusters() -> Result<Vec<(PathBuf, PathBuf)>, Error> {
    let folders = folders_of_ours(&[env::temp_dir(), PathBuf::from(MEMORY)]).await?;
    let root_of = |folder: PathBuf| {
        let root = fs::read(folder.join(ROOT)).ok()?;
        Some((folder, PathBuf::from(OsString::from_vec(root))))
    };
    Ok(folders.into_iter().filter_map(root_of).collect())
}

/// The folders with the clusters of a namespace that lie outside the checkout.
pub(crate) async fn data_folders(
    checkout: &Checkout,
    namespace: &str,
) -> Result<Vec<PathBuf>, Error> {
    let name = format!("underlay-{}-{}", account::own_uid().await?, checkout.id);
    let parents = [
        PathBuf::from("/var/tmp"),
        PathBuf::from(MEMORY),
        env::temp_dir(),
    ];
    let mut folders = Vec::new();
    for parent in parents {
        for kind in [Kind::Run, Kind::Test] {
            let folder = parent
                .join(&name)
                .join(format!("{namespace}-{}", kind.stem()));
            if folder.exists() && !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_folder_is_short_and_its_own() {
        let folder =
            |checkout, namespace, kind| run_folder_of(4_294_967_294, checkout, namespace, kind);
        let default = folder("0123abcd", "default", Kind::Run);
        assert_ne!(default, folder("0123abce", "default", Kind::Run));
        assert_ne!(default, folder("0123abcd", "other", Kind::Run));
        assert_ne!(default, folder("0123abcd", "default", Kind::Test));
        assert!(
            default.join(".s.PGSQL.5432.lock").as_os_str().len() < 104,
            "{}",
            default.display()
        );
    }
}
