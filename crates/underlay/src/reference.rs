//! `#[reference]`: another service's resource, with no more permission than its type says.
//!
//! The methods that a permission does not allow are refused while compiling, and the permissions are in the model,
//! where manifests turn them into access rules.

use std::marker::PhantomData;
use std::time::Duration;

use axum::body::{Body, Bytes};

use crate::Result;
use crate::bucket::{Bucket, Download, List, Object, Objects, Upload};
use crate::cache::CacheCluster;
#[cfg(feature = "postgres")]
use crate::database::Database;
use crate::topic::{Message, MessageId, Publish, PublishOptions, Topic};

macro_rules! permissions {
    ($($(#[$meta:meta])* $name:ident)*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}
        impl Permission for $name {
            const NAME: &'static str = stringify!($name);
        }
    )*};
}

/// One permission of a reference.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a permission",
    label = "expected a permission such as `Downloader`, `Publisher` or `ReadOnly`"
)]
pub trait Permission {
    /// Its name in the model.
    const NAME: &'static str;
}

permissions! {
    /// Publishing to a topic.
    Publisher
    /// Writing objects.
    Uploader
    /// Making URLs that write objects.
    SignedUploader
    /// Reading objects.
    Downloader
    /// Making URLs that read objects.
    SignedDownloader
    /// Reading what is known of objects.
    Attrser
    /// Listing objects.
    Lister
    /// Removing objects.
    Remover
    /// Making the public URLs of objects.
    PublicUrler
    /// Reading rows.
    ReadOnly
    /// Reading and writing: rows, objects or keys.
    ReadWrite
}

/// A permission, or a tuple of up to eight, that grants the permission `P`.
///
/// `I` is where in the tuple `P` stands; the compiler finds it.
#[diagnostic::on_unimplemented(
    message = "this reference does not permit `{P}`",
    label = "`{P}` is not among the reference's permissions",
    note = "add `{P}` to the permissions in the type of the `#[reference]` static"
)]
pub trait Grants<P, I> {}

/// The position of a permission that stands alone.
#[doc(hidden)]
pub enum Alone {}
/// The position `N` in a tuple.
#[doc(hidden)]
pub enum At<const N: usize> {}
/// The permission that contains all others on a bucket but the public URL.
#[doc(hidden)]
pub enum Whole {}

#[diagnostic::do_not_recommend]
impl<P: Permission> Grants<P, Alone> for P {}

macro_rules! tuple_grants {
    ($(($($all:ident)*): $($index:literal $name:ident),*;)*) => {$(tuple_grants!(@ ($($all)*) $($index $name)*);)*};
    (@ $all:tt $($index:literal $name:ident)*) => {$(tuple_grants!(# $all $index $name);)*};
    (# ($($all:ident)*) $index:literal $name:ident) => {
        #[diagnostic::do_not_recommend]
        impl<$($all: Permission),*> Grants<$name, At<$index>> for ($($all,)*) {}
    };
}

tuple_grants! {
    (A): 0 A;
    (A B): 0 A, 1 B;
    (A B C): 0 A, 1 B, 2 C;
    (A B C D): 0 A, 1 B, 2 C, 3 D;
    (A B C D E): 0 A, 1 B, 2 C, 3 D, 4 E;
    (A B C D E F): 0 A, 1 B, 2 C, 3 D, 4 E, 5 F;
    (A B C D E F G): 0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G;
    (A B C D E F G H): 0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G, 7 H;
}

macro_rules! read_write_grants {
    ($($name:ident)*) => {$(#[diagnostic::do_not_recommend] impl Grants<$name, Whole> for ReadWrite {})*};
}

read_write_grants!(Uploader SignedUploader Downloader SignedDownloader Attrser Lister Remover ReadOnly);

/// A reference to another service's topic.
pub struct TopicRef<T: 'static, P = Publisher> {
    pub(crate) target: fn() -> &'static Topic<T>,
    permissions: PhantomData<fn(P)>,
}

impl<T, P> TopicRef<T, P> {
    #[doc(hidden)]
    pub const fn __new(target: fn() -> &'static Topic<T>) -> Self {
        Self {
            target,
            permissions: PhantomData,
        }
    }
}

impl<T: Message, P> TopicRef<T, P> {
    /// Publishes a message; see [`Topic::publish`].
    ///
    /// # Errors
    ///
    /// As [`Topic::publish`].
    pub async fn publish<I>(&self, message: &T) -> Result<MessageId>
    where
        P: Grants<Publisher, I>,
    {
        (self.target)().publish(message).await
    }

    /// Publishes a message later, or under another ordering key; see [`Topic::publish_with`].
    ///
    /// # Errors
    ///
    /// As [`Topic::publish_with`].
    pub async fn publish_with<I>(&self, message: &T, options: PublishOptions) -> Result<MessageId>
    where
        P: Grants<Publisher, I>,
    {
        (self.target)().publish_with(message, options).await
    }

    /// Publishes several messages; see [`Topic::publish_batch`].
    ///
    /// # Errors
    ///
    /// As [`Topic::publish_batch`].
    pub async fn publish_batch<'a, I>(
        &self,
        messages: impl IntoIterator<Item = &'a T>,
    ) -> Result<Vec<MessageId>>
    where
        P: Grants<Publisher, I>,
    {
        (self.target)().publish_batch(messages).await
    }
}

impl<T: Message> Publish<T> for TopicRef<T, Publisher> {
    async fn publish_with(&self, message: &T, options: PublishOptions) -> Result<MessageId> {
        (self.target)().publish_with(message, options).await
    }
}

/// A reference to another service's bucket.
///
/// # Example
///
/// ```
/// use underlay::prelude::*;
///
/// mod files {
///     use underlay::prelude::*;
///     #[bucket("invoices")]
///     pub static INVOICES: Bucket;
/// }
///
/// #[reference(files::INVOICES)]
/// static INVOICES: BucketRef<(Downloader, Lister)>;
///
/// async fn read() -> underlay::Result<()> {
///     INVOICES.download("2026/1.txt").await?;
///     Ok(())
/// }
/// # fn main() {}
/// ```
pub struct BucketRef<P> {
    target: fn() -> &'static Bucket,
    permissions: PhantomData<fn(P)>,
}

impl<P> BucketRef<P> {
    #[doc(hidden)]
    pub const fn __new(target: fn() -> &'static Bucket) -> Self {
        Self {
            target,
            permissions: PhantomData,
        }
    }

    /// Writes an object; see [`Bucket::upload`].
    ///
    /// # Errors
    ///
    /// As [`Bucket::upload`].
    pub async fn upload<I>(&self, name: &str, body: impl Into<Body>) -> Result<Object>
    where
        P: Grants<Uploader, I>,
    {
        (self.target)().upload(name, body).await
    }

    /// Writes an object; see [`Bucket::upload_with`].
    ///
    /// # Errors
    ///
    /// As [`Bucket::upload_with`].
    pub async fn upload_with<I>(
        &self,
        name: &str,
        body: impl Into<Body>,
        upload: Upload,
    ) -> Result<Object>
    where
        P: Grants<Uploader, I>,
    {
        (self.target)().upload_with(name, body, upload).await
    }

    /// Reads an object; see [`Bucket::download`].
    ///
    /// # Errors
    ///
    /// As [`Bucket::download`].
    pub async fn download<I>(&self, name: &str) -> Result<Bytes>
    where
        P: Grants<Downloader, I>,
    {
        (self.target)().download(name).await
    }

    /// Reads an object; see [`Bucket::download_with`].
    ///
    /// # Errors
    ///
    /// As [`Bucket::download_with`].
    pub async fn download_with<I>(&self, name: &str, download: Download) -> Result<(Object, Body)>
    where
        P: Grants<Downloader, I>,
    {
        (self.target)().download_with(name, download).await
    }

    /// Whether there is such an object; see [`Bucket::exists`].
    ///
    /// # Errors
    ///
    /// As [`Bucket::exists`].
    pub async fn exists<I>(&self, name: &str) -> Result<bool>
    where
        P: Grants<Attrser, I>,
    {
        (self.target)().exists(name).await
    }

    /// What is known of an object; see [`Bucket::attrs`].
    ///
    /// # Errors
    ///
    /// As [`Bucket::attrs`].
    pub async fn attrs<I>(&self, name: &str) -> Result<Object>
    where
        P: Grants<Attrser, I>,
    {
        (self.target)().attrs(name).await
    }

    /// The objects that the options ask for; see [`Bucket::list`].
    ///
    /// # Errors
    ///
    /// As [`Bucket::list`].
    pub async fn list<I>(&self, list: List) -> Result<Objects>
    where
        P: Grants<Lister, I>,
    {
        (self.target)().list(list).await
    }

    /// Removes an object; see [`Bucket::remove`].
    ///
    /// # Errors
    ///
    /// As [`Bucket::remove`].
    pub async fn remove<I>(&self, name: &str) -> Result<()>
    where
        P: Grants<Remover, I>,
    {
        (self.target)().remove(name).await
    }

    /// The public URL of an object; see [`Bucket::public_url`].
    ///
    /// # Errors
    ///
    /// As [`Bucket::public_url`].
    pub fn public_url<I>(&self, name: &str) -> Result<String>
    where
        P: Grants<PublicUrler, I>,
    {
        (self.target)().public_url(name)
    }

    /// A URL that writes an object; see [`Bucket::signed_upload_url`].
    ///
    /// # Errors
    ///
    /// As [`Bucket::signed_upload_url`].
    pub async fn signed_upload_url<I>(&self, name: &str, expires_in: Duration) -> Result<String>
    where
        P: Grants<SignedUploader, I>,
    {
        (self.target)().signed_upload_url(name, expires_in).await
    }

    /// A URL that reads an object; see [`Bucket::signed_download_url`].
    ///
    /// # Errors
    ///
    /// As [`Bucket::signed_download_url`].
    pub async fn signed_download_url<I>(&self, name: &str, expires_in: Duration) -> Result<String>
    where
        P: Grants<SignedDownloader, I>,
    {
        (self.target)().signed_download_url(name, expires_in).await
    }
}

/// A reference to another service's database.
#[cfg(feature = "postgres")]
pub struct DatabaseRef<P> {
    target: fn() -> &'static Database,
    permissions: PhantomData<fn(P)>,
}

#[cfg(feature = "postgres")]
impl<P> DatabaseRef<P> {
    #[doc(hidden)]
    pub const fn __new(target: fn() -> &'static Database) -> Self {
        Self {
            target,
            permissions: PhantomData,
        }
    }

    /// A transaction that cannot write.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotStarted`](crate::ErrorKind::NotStarted) before the application is started; otherwise why no
    /// connection was had.
    pub async fn begin_read<I>(&self) -> Result<sqlx::Transaction<'static, sqlx::Postgres>>
    where
        P: Grants<ReadOnly, I>,
    {
        Ok((self.target)()
            .pool()?
            .begin_with("BEGIN READ ONLY")
            .await?)
    }

    /// The pool of connections, for reading and writing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotStarted`](crate::ErrorKind::NotStarted) before the application is started.
    pub fn pool<I>(&self) -> Result<&'static sqlx::PgPool>
    where
        P: Grants<ReadWrite, I>,
    {
        (self.target)().pool()
    }
}

/// A reference to another service's cache cluster, for keyspaces of one's own in it.
pub struct CacheRef<P> {
    target: fn() -> &'static CacheCluster,
    permissions: PhantomData<fn(P)>,
}

impl<P> CacheRef<P> {
    #[doc(hidden)]
    pub const fn __new(target: fn() -> &'static CacheCluster) -> Self {
        Self {
            target,
            permissions: PhantomData,
        }
    }

    /// The cluster's declared name.
    pub fn name(&self) -> &'static str {
        (self.target)().name()
    }
}
