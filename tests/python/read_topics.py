"""Reads the topics of a Thalweg namespace with clients that are not Thalweg's own.

Prints one line of JSON for each committed record, up to where the topics end:
{"topic", "partition", "offset", "key", "headers", "record"}. Times are RFC 3339, bytes are lists of numbers,
a tombstone's record is null. With --file it reads files that hold one record each: {"file", "record"}.
"""

import argparse
import datetime
import io
import json
import pathlib
import sys

import confluent_kafka
import fastavro
import fastavro.schema

CHANNELS = (
    "action-requests",
    "action-results",
    "business-facts",
    "system-events",
    "notification-events",
    "plan-events",
    "task-events",
    "billing-events",
)
# Avro specification, "Single-object encoding": two bytes, the fingerprint in eight, the datum.
SINGLE_OBJECT = b"\xc3\x01"
HEADER_BYTES = 10
SECONDS_WITHOUT_RECORD = 30


class Schemas:
    """The schemas that records were written with, by the bytes of their fingerprint."""

    def __init__(self):
        self.by_fingerprint = {}

    def add(self, document):
        """Takes in a schema and returns its fingerprint in hexadecimal."""
        schema = json.loads(document)
        canonical = fastavro.schema.to_parsing_canonical_form(schema)
        fingerprint = fastavro.schema.fingerprint(canonical, "CRC-64-AVRO")
        self.by_fingerprint[bytes.fromhex(fingerprint)] = fastavro.parse_schema(schema)
        return fingerprint

    def add_directory(self, directory):
        """Takes in every schema in a directory and below."""
        for path in sorted(pathlib.Path(directory).rglob("*.avsc")):
            self.add(path.read_text(encoding="utf-8"))

    def add_registry(self, brokers, topic):
        """Takes in the schemas of a registry topic."""
        for message in messages(brokers, [topic]):
            key = message.key().decode()
            if key.startswith("schema/") and message.value() is not None:
                fingerprint = self.add(message.value())
                if key != f"schema/{fingerprint}":
                    raise ValueError(f"{key} in {topic} holds the schema {fingerprint}")

    def decode(self, value):
        """The record in single-object encoding."""
        if not value.startswith(SINGLE_OBJECT):
            raise ValueError(f"no single-object encoding: {value[:HEADER_BYTES].hex()}...")
        fingerprint = value[len(SINGLE_OBJECT) : HEADER_BYTES]
        if fingerprint not in self.by_fingerprint:
            raise ValueError(f"no schema has the fingerprint {fingerprint.hex()}")
        datum = io.BytesIO(value[HEADER_BYTES:])
        record = fastavro.schemaless_reader(datum, self.by_fingerprint[fingerprint])
        if datum.read(1):
            raise ValueError("bytes are left over after the datum")
        return record


def messages(brokers, topics):
    """Every committed message of the topics, up to where they end now."""
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "thalweg-read-topics",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    unread = set()
    for topic in topics:
        metadata = consumer.list_topics(topic, timeout=SECONDS_WITHOUT_RECORD).topics[topic]
        if metadata.error is not None:
            raise ValueError(f"{topic}: {metadata.error}")
        unread.update((topic, partition) for partition in metadata.partitions)
    beginning = confluent_kafka.OFFSET_BEGINNING
    consumer.assign([confluent_kafka.TopicPartition(*place, beginning) for place in sorted(unread)])
    while unread:
        message = consumer.poll(SECONDS_WITHOUT_RECORD)
        if message is None:
            raise TimeoutError(f"neither a record nor the end of {sorted(unread)}")
        if message.error() is None:
            yield message
        elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
            unread.discard((message.topic(), message.partition()))
        elif message.error().fatal():
            raise confluent_kafka.KafkaException(message.error())
    consumer.close()


def text(value):
    """Bytes that are UTF-8, or none."""
    return None if value is None else value.decode()


def decoded_key(schemas, key):
    """Keys are text, but for those of scopes and branches, which are records."""
    is_record = key is not None and key.startswith(SINGLE_OBJECT)
    return schemas.decode(key) if is_record else text(key)


def read_topics(schemas, brokers, topics):
    """One line for each message."""
    for message in messages(brokers, topics):
        place = f"{message.topic()}/{message.partition()}/{message.offset()}"
        try:
            yield {
                "topic": message.topic(),
                "partition": message.partition(),
                "offset": message.offset(),
                "key": decoded_key(schemas, message.key()),
                "headers": {name: text(value) for name, value in message.headers() or ()},
                "record": None if message.value() is None else schemas.decode(message.value()),
            }
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error


def read_files(schemas, paths):
    """One line for each file."""
    for path in paths:
        yield {"file": path, "record": schemas.decode(pathlib.Path(path).read_bytes())}


def as_json(value):
    """What JSON has no type for."""
    if isinstance(value, bytes):
        return list(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    raise TypeError(f"no JSON for {type(value)}")


def parsed_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", help="HOST:PORT of Kafka")
    parser.add_argument("--namespace", default="thalweg")
    parser.add_argument("--topics", nargs="+", help="instead of the namespace's eight channels and its contexts")
    parser.add_argument("--schemas", metavar="DIR", help="take schemas from the .avsc files of a directory")
    parser.add_argument("--registry", action="store_true", help="take schemas from the namespace's registry topic")
    parser.add_argument("--file", nargs="+", metavar="FILE", help="read these files instead of topics")
    arguments = parser.parse_args()
    if arguments.brokers is None and (arguments.file is None or arguments.registry):
        parser.error("--brokers is needed to read topics")
    return arguments


def main():
    """Takes in the schemas, then reads."""
    arguments = parsed_arguments()
    schemas = Schemas()
    if arguments.schemas:
        schemas.add_directory(arguments.schemas)
    if arguments.registry:
        schemas.add_registry(arguments.brokers, f"{arguments.namespace}.registry")
    if arguments.file:
        lines = read_files(schemas, arguments.file)
    else:
        names = (*CHANNELS, "contexts")
        topics = arguments.topics or [f"{arguments.namespace}.{name}" for name in names]
        lines = read_topics(schemas, arguments.brokers, topics)
    for line in lines:
        json.dump(line, sys.stdout, default=as_json, ensure_ascii=False)
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
