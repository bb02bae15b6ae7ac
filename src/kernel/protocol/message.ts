/**
 * The messages of the Jupyter protocol 5.x (https://jupyter-client.readthedocs.io/en/stable/messaging.html), as values.
 * Names are those of the wire.
 */

/** An object of JSON. */
export type JsonObject = { readonly [name: string]: unknown };

/** The sender, the type and the time of a message. */
export interface MessageHeader {
  /** Unique to the message. */
  readonly msg_id: string;
  /** The sender: one number for each client, and for each start of a kernel. */
  readonly session: string;
  /** Whose name the sender goes by. */
  readonly username: string;
  /** When it was made, as ISO 8601. */
  readonly date: string;
  /** The type: "execute_request", "stream", … */
  readonly msg_type: string;
  /** The version of the protocol. */
  readonly version: string;
}

/** A message. */
export interface Message {
  /** The frames that a ROUTER puts in front, or the topic of a PUB. */
  readonly identities: readonly Uint8Array<ArrayBuffer>[];
  readonly header: MessageHeader;
  /** The header of what it answers or follows from; null where there is none. */
  readonly parentHeader: MessageHeader | null;
  readonly metadata: JsonObject;
  readonly content: JsonObject;
  /** Bytes that come along, as comms send them. */
  readonly buffers: readonly Uint8Array<ArrayBuffer>[];
}

/** The version of the protocol that is spoken. */
export const PROTOCOL_VERSION = "5.3";

/** The parts of a message beside its type and content. */
export interface MessageParts {
  readonly parent?: Message | null;
  readonly identities?: readonly Uint8Array<ArrayBuffer>[];
  readonly metadata?: JsonObject;
  readonly buffers?: readonly Uint8Array<ArrayBuffer>[];
}

/** Makes a new message of a session. */
export function createMessage(
  session: string,
  type: string,
  content: JsonObject,
  { parent = null, identities = [], metadata = {}, buffers = [] }: MessageParts = {},
): Message {
  return {
    identities,
    header: {
      msg_id: crypto.randomUUID(),
      session,
      username: "attune",
      date: new Date().toISOString(),
      msg_type: type,
      version: PROTOCOL_VERSION,
    },
    parentHeader: parent?.header ?? null,
    metadata,
    content,
    buffers,
  };
}
