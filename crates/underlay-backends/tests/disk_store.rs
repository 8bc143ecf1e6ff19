//! What a store on disk does beyond what every bucket does: leftovers of crashes, several processes, damage.
#![cfg(feature = "disk")]
#![allow(clippy::unwrap_used, reason = "a failure is a panic here")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tempfile::TempDir;
use underlay_backends::{
    ErrorKind,
    bucket::{Bucket, GetOptions, ListOptions, PutOptions},
    disk::{BucketOptions, Store, StoreOptions},
};

async fn open(root: &Path) -> Arc<dyn Bucket> {
    let store = Store::open(root, StoreOptions::default()).await.unwrap();
    store
        .bucket("files", BucketOptions::default())
        .await
        .unwrap()
}

async fn put(bucket: &dyn Bucket, name: &str, bytes: &str) {
    let body = stream::iter([Ok(Bytes::copy_from_slice(bytes.as_bytes()))]).boxed();
    bucket.put(name, body, PutOptions::default()).await.unwrap();
}

async fn get(bucket: &dyn Bucket, name: &str) -> String {
    let (_, stream) = bucket.get(name, GetOptions::default()).await.unwrap();
    let pieces: Vec<Bytes> = stream.try_collect().await.unwrap();
    String::from_utf8(pieces.concat()).unwrap()
}

async fn names(bucket: &dyn Bucket) -> Vec<String> {
    let objects = bucket.list(ListOptions::default()).await.unwrap();
    objects
        .map_ok(|object| object.name)
        .try_collect()
        .await
        .unwrap()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn objects_are_there_after_a_restart() {
    let root = TempDir::new().unwrap();
    put(&*open(root.path()).await, "a/B", "content").await;
    let bucket = open(root.path()).await;
    assert_eq!(get(&*bucket, "a/B").await, "content");
    assert_eq!(names(&*bucket).await, ["a/B"]);
}

#[tokio::test]
async fn nothing_is_left_of_what_was_replaced_or_deleted() {
    let root = TempDir::new().unwrap();
    let bucket = open(root.path()).await;
    let [meta, data, tmp] =
        ["meta", "data", "tmp"].map(|name| root.path().join("files").join(name));
    for content in ["one", "two", "three"] {
        put(&*bucket, "name", content).await;
    }
    bucket.copy("name", "copy").await.unwrap();
    assert_eq!(
        [files(&meta).len(), files(&data).len(), files(&tmp).len()],
        [2, 2, 0]
    );
    bucket.delete("name", None).await.unwrap();
    bucket.delete("copy", None).await.unwrap();
    bucket.delete("never", None).await.unwrap();
    assert_eq!(
        [files(&meta).len(), files(&data).len(), files(&tmp).len()],
        [0, 0, 0]
    );
}

/// A crash at each step of a put: the object is the old one, or the new one, and never half of it; the next start
/// removes what was left.
#[tokio::test]
async fn a_crash_in_a_put_shows_no_half_object() {
    for older in [false, true] {
        let root = TempDir::new().unwrap();
        let [meta, data, tmp] =
            ["meta", "data", "tmp"].map(|name| root.path().join("files").join(name));
        let bucket = open(root.path()).await;
        if older {
            put(&*bucket, "name", "old").await;
        }
        let kept = [files(&meta), files(&data)];
        // The bytes are written, and noted, and the object is not.
        fs::write(tmp.join("=name"), "").unwrap();
        fs::write(data.join(format!("name@{}", "0".repeat(32))), "half").unwrap();
        // Another upload was under way, and so was the description of the object.
        fs::write(tmp.join("00000000000000000000000000000001"), "ha").unwrap();
        fs::write(
            tmp.join("00000000000000000000000000000002"),
            "{\"name\": \"na",
        )
        .unwrap();

        for bucket in [bucket, open(root.path()).await] {
            if older {
                assert_eq!(names(&*bucket).await, ["name"]);
                assert_eq!(get(&*bucket, "name").await, "old");
            } else {
                assert!(names(&*bucket).await.is_empty());
                let missing = bucket.head("name", None).await.unwrap_err();
                assert_eq!(missing.kind(), ErrorKind::NotFound);
            }
        }
        assert_eq!([files(&meta), files(&data)], kept);
        assert!(!tmp.join("=name").exists());
        put(&*open(root.path()).await, "name", "new").await;
        assert_eq!(get(&*open(root.path()).await, "name").await, "new");
        assert_eq!(files(&data).len(), 1);
    }
}

/// The other side: the object was replaced, and its old bytes were not yet removed.
#[tokio::test]
async fn a_crash_after_a_put_leaves_no_old_bytes() {
    let root = TempDir::new().unwrap();
    let bucket = open(root.path()).await;
    put(&*bucket, "name", "new").await;
    let [data, tmp] = ["data", "tmp"].map(|name| root.path().join("files").join(name));
    let kept = files(&data);
    fs::write(data.join(format!("name@{}", "0".repeat(32))), "old").unwrap();
    // Of another object whose name begins in the same way: not to be touched.
    put(&*bucket, "name2", "other").await;
    fs::write(tmp.join("=name"), "").unwrap();
    let bucket = open(root.path()).await;
    assert_eq!(get(&*bucket, "name").await, "new");
    assert_eq!(get(&*bucket, "name2").await, "other");
    assert_eq!(files(&data).len(), kept.len() + 1);
}

#[tokio::test]
async fn two_openers_of_one_directory_see_one_bucket() {
    let root = TempDir::new().unwrap();
    let (one, two) = (open(root.path()).await, open(root.path()).await);
    let not_exists = PutOptions {
        content_type: None,
        precondition: Some(underlay_backends::bucket::Precondition::NotExists),
    };
    let mut won = 0;
    for round in 0..20 {
        let name = format!("name-{round}");
        let body = || stream::iter([Ok(Bytes::from_static(b"x"))]).boxed();
        let (a, b) = tokio::join!(
            one.put(&name, body(), not_exists.clone()),
            two.put(&name, body(), not_exists.clone())
        );
        won += usize::from(a.is_ok()) + usize::from(b.is_ok());
    }
    assert_eq!(won, 20);
    assert_eq!(names(&*one).await.len(), 20);
    one.delete("name-0", None).await.unwrap();
    assert_eq!(
        two.head("name-0", None).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn readers_never_see_a_mixture() {
    let root = TempDir::new().unwrap();
    let bucket = open(root.path()).await;
    put(&*bucket, "name", "0").await;
    let writing = tokio::spawn({
        let bucket = Arc::clone(&bucket);
        async move {
            for number in 1..100 {
                put(&*bucket, "name", &number.to_string().repeat(number)).await;
            }
        }
    });
    let mut reads = 0;
    while !writing.is_finished() {
        let (object, stream) = bucket.get("name", GetOptions::default()).await.unwrap();
        let pieces: Vec<Bytes> = stream.try_collect().await.unwrap();
        let text = String::from_utf8(pieces.concat()).unwrap();
        assert_eq!(text.len() as u64, object.size);
        let number = (1..100).find(|number| number.to_string().repeat(*number) == text);
        assert!(text == "0" || number.is_some(), "{text}");
        reads += 1;
    }
    writing.await.unwrap();
    assert!(reads > 0);
}

#[tokio::test]
async fn damage_is_an_error_that_names_the_file() {
    let root = TempDir::new().unwrap();
    let bucket = open(root.path()).await;
    put(&*bucket, "name", "x").await;
    put(&*bucket, "other", "x").await;
    let [meta, data] = ["meta", "data"].map(|name| root.path().join("files").join(name));
    fs::write(meta.join("name@.json"), "{").unwrap();
    fs::remove_file(
        files(&data)
            .into_iter()
            .find(|path| path.to_string_lossy().contains("other"))
            .unwrap(),
    )
    .unwrap();
    for (name, expected) in [("name", "name@.json"), ("other", "other@")] {
        let error = bucket.get(name, GetOptions::default()).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Other);
        assert!(error.to_string().contains(expected), "{error}");
    }
    bucket.delete("other", None).await.unwrap();
}

#[tokio::test]
async fn a_store_that_cannot_be_made_says_where() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("file");
    fs::write(&path, "").unwrap();
    let error = Store::open(&path.join("store"), StoreOptions::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("file/store"), "{error}");
}
