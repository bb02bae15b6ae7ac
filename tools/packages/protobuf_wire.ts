// Writes and reads the wire format of protocol buffers.

export { BinaryReader, BinaryWriter, WireType } from "npm:@bufbuild/protobuf@2.17.0/wire";
