//! A right that lacks, in the words of Kafka's ACLs.

use rdkafka::error::RDKafkaErrorCode;
use thalweg_core::ErrorCode;

/// Kafka denies the user of this process a right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{code}: Kafka denies this user {operation} on {resource}; acls/ has the rights of each processor",
    code = ErrorCode::NotAuthorized
)]
pub struct NotAuthorized {
    operation: &'static str,
    resource: String,
}

impl NotAuthorized {
    /// `operation` on a topic.
    pub fn topic(operation: &'static str, name: &str) -> NotAuthorized {
        NotAuthorized { operation, resource: format!("topic {name}") }
    }

    /// `Read` on a consumer group.
    pub fn group(name: &str) -> NotAuthorized {
        NotAuthorized { operation: "Read", resource: format!("group {name}") }
    }

    /// `Write` on a transactional id.
    pub fn transactional_id(name: &str) -> NotAuthorized {
        NotAuthorized { operation: "Write", resource: format!("transactional id {name}") }
    }
}

/// Is this error a right that lacks?
pub fn is_denied(code: Option<RDKafkaErrorCode>) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Some(
            Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::TransactionalIdAuthorizationFailed
                | Code::ClusterAuthorizationFailed
        )
    )
}
