//! What topics and queues are called: a topic's ARN, a queue's URL, and what follows from them.

use crate::{Error, ErrorKind, Result, aws::PROVIDER};

/// What ends the name of what keeps order.
const FIFO: &str = ".fifo";

/// A topic's ARN in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicArn {
    pub(super) arn: String,
    /// `aws`, or `aws-cn` and the like.
    pub(super) partition: String,
    pub(super) region: String,
    pub(super) name: String,
}

impl TopicArn {
    /// Reads `arn:aws:sns:eu-central-1:123456789012:orders.fifo`.
    pub(super) fn parse(arn: &str) -> Result<Self> {
        let parts: Vec<&str> = arn.split(':').collect();
        match parts[..] {
            ["arn", partition, "sns", region, account, name]
                if ![partition, region, account, name].contains(&"") =>
            {
                Ok(Self {
                    arn: arn.to_owned(),
                    partition: partition.to_owned(),
                    region: region.to_owned(),
                    name: name.to_owned(),
                })
            }
            _ => {
                let text = "a topic is named by its ARN, `arn:aws:sns:REGION:ACCOUNT:NAME`; correct it in the infra config";
                Err(Error::new(ErrorKind::InvalidArgument, PROVIDER, arn, text))
            }
        }
    }

    pub(super) fn is_fifo(&self) -> bool {
        self.name.ends_with(FIFO)
    }
}

/// A queue's URL in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueueUrl {
    pub(super) url: String,
    /// The region, where the host says it.
    pub(super) region: Option<String>,
    pub(super) account: String,
    pub(super) name: String,
}

impl QueueUrl {
    /// Reads `https://sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo`; the host may be an emulator's.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let malformed = || {
            let text = "a subscription is named by its queue's URL, `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME`; correct \
                        it in the infra config";
            // It is shown without what may stand before the host.
            let shown = url.rsplit('@').next().unwrap_or_default();
            Error::new(ErrorKind::InvalidArgument, PROVIDER, shown, text)
        };
        let (_, rest) = url.split_once("://").ok_or_else(malformed)?;
        let parts: Vec<&str> = rest.split('/').collect();
        let [host, .., account, name] = parts[..] else {
            return Err(malformed());
        };
        if host.is_empty() || account.is_empty() || name.is_empty() || host.contains('@') {
            return Err(malformed());
        }
        let host = host.split(':').next().unwrap_or_default();
        let region = match host.split('.').collect::<Vec<_>>()[..] {
            ["sqs" | "sqs-fips", region, ..] | [region, "queue", "amazonaws", ..] => {
                Some(region.to_owned())
            }
            _ => None,
        };
        Ok(Self {
            url: url.to_owned(),
            region,
            account: account.to_owned(),
            name: name.to_owned(),
        })
    }

    pub(super) fn is_fifo(&self) -> bool {
        self.name.ends_with(FIFO)
    }

    /// The queue of this name beside this one.
    pub(super) fn beside(&self, name: &str) -> Self {
        let parent = self.url.strip_suffix(&self.name).unwrap_or(&self.url);
        Self {
            url: format!("{parent}{name}"),
            name: name.to_owned(),
            ..self.clone()
        }
    }

    /// The name of the queue of its dead letters.
    pub(super) fn dead_name(&self) -> String {
        match self.name.strip_suffix(FIFO) {
            Some(name) => format!("{name}-dead{FIFO}"),
            None => format!("{}-dead", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics() {
        let topic =
            TopicArn::parse("arn:aws-cn:sns:cn-north-1:123456789012:orders.fifo").expect("an ARN");
        assert_eq!(
            (&*topic.partition, &*topic.region, &*topic.name),
            ("aws-cn", "cn-north-1", "orders.fifo")
        );
        assert!(topic.is_fifo());
        for wrong in [
            "",
            "orders",
            "arn:aws:sqs:eu-west-1:1:orders",
            "arn:aws:sns:eu-west-1:1:orders:sub",
            "arn:aws:sns::1:o",
        ] {
            let error = TopicArn::parse(wrong).expect_err(wrong);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        }
    }

    #[test]
    fn queues() {
        for (url, region) in [
            (
                "https://sqs.eu-west-1.amazonaws.com/123456789012/orders",
                Some("eu-west-1"),
            ),
            (
                "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/orders",
                Some("cn-north-1"),
            ),
            (
                "https://us-east-2.queue.amazonaws.com/123456789012/orders",
                Some("us-east-2"),
            ),
            ("http://127.0.0.1:4566/123456789012/orders", None),
            (
                "http://localhost:4566/queue/us-east-1/123456789012/orders",
                None,
            ),
        ] {
            let queue = QueueUrl::parse(url).expect(url);
            assert_eq!(
                (queue.region.as_deref(), &*queue.account, &*queue.name),
                (region, "123456789012", "orders")
            );
            assert!(!queue.is_fifo());
            let dead = queue.beside(&queue.dead_name());
            assert_eq!(dead, QueueUrl::parse(&format!("{url}-dead")).expect(url));
        }
        let fifo =
            QueueUrl::parse("https://sqs.eu-west-1.amazonaws.com/1/orders.fifo").expect("a URL");
        assert_eq!(fifo.dead_name(), "orders-dead.fifo");
        for wrong in [
            "",
            "orders",
            "https://host/orders",
            "https:///1/orders",
            "https://u:hunter2@host/1/orders",
        ] {
            let error = QueueUrl::parse(wrong).expect_err(wrong);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
