//! The provider `gcp_pubsub`: topics and subscriptions on Google Cloud Pub/Sub, by Google's own client.
//!
//! The connection is in `broker.rs`; messages come by `pull.rs` or `push.rs` into `queue.rs`, which `receiving.rs` shows
//! as a subscription. Nothing here knows the infra config.
//!
//! # How each promise is kept
//!
//! - **Stored before `publish` returns**: Google's id is the answer, and what receivers see. A message with an id
//!   of its own, and a released dead letter, have another one at Google; theirs is in an attribute. Attributes of ours
//!   begin with `underlay-`, and handlers do not see them.
//! - **Order**: the ordering key is Google's; after a failed publish the key is resumed, and what was sent after it has
//!   failed, too. Google sends a key's messages to one process at a time, where the second waits for the first.
//!   A message that is given back comes again in this process, so that the next one stays behind it. A key that is
//!   published from several regions is ordered in each of them only. At most 1 MB/s per key.
//! - **Leases**: Google's client extends its own lease of each message that is in this process; when the process dies
//!   Google delivers them again after the subscription's lease, 10 s at least and 600 s at most. What a receiver sees is
//!   a timer of ours: when it ends, or the delay of `nack`, the message is given back to Google, and delivered to
//!   whatever process Google chooses. A subscription with a retry policy adds its delay to ours; one that is created
//!   here has none, unless it is pushed.
//! - **At most 1000 messages or 100 MiB** are in one process, those that wait for their delay among them: as many failing
//!   messages hold up the rest of the process until they come again or are given up.
//! - **Attempts** are counted by Google, which does so for a subscription with a dead-letter policy, approximately: a
//!   process that ends gives back what it had not yet handled. On an ordered topic the repetitions within one process
//!   are added. Without the policy the process counts those that it gave back itself.
//! - **Exactly once** is Google's, within one region: an acknowledgement returns when Google has confirmed it. It costs
//!   latency and throughput; Google's quotas for it are lower and per region. On other topics an acknowledgement is sent
//!   within 100 ms, and one that is lost on the way means that the message comes again.
//! - **Dead letters** are in a topic `<subscription>-dead`, kept by a subscription of the same name for as long as the
//!   subscription keeps messages (31 days at most). Google itself moves a message there after as many deliveries as the
//!   policy says, 5 at least and 100 at most, for which its service agent needs the roles of publisher there and of
//!   subscriber here. Looking at letters leases them for the moment: somebody else who looks at the same time sees
//!   others, and no more than ten thousand are seen.
//! - **Filters** are Google's where they fit into its 256 bytes. Receivers filter in any case.
//! - **Delays** are not Google's; `publish` says what to do.

mod broker;
mod dead_letters;
mod error;
mod filter;
mod message;
mod names;
mod provision;
mod pull;
mod push;
mod queue;
mod receiving;
mod token;
mod topic;
mod unary;

use crate::capabilities::{Backend, Capabilities, TopicCapabilities};

pub use broker::Broker;
pub use push::{MAX_PUSH_BYTES, PushOptions, PushSubscription};

/// The provider's name.
pub const PROVIDER: &str = "gcp_pubsub";

/// What a topic can do.
pub const TOPIC: TopicCapabilities = TopicCapabilities {
    ordering: true,
    exactly_once: true,
    delay: false,
    persistent: true,
    dead_letters: true,
    max_message_bytes: Some(message::LARGEST as u64),
};

/// This provider's backends.
pub(crate) const BACKENDS: [Backend; 1] = [Backend {
    provider: PROVIDER,
    variant: None,
    capabilities: Capabilities::Topic(TOPIC),
}];
