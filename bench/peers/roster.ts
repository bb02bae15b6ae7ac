// The one place that names the peers.

import { JAX_JS } from "./jax_js.ts";
import { ONNXRUNTIME_NODE } from "./onnxruntime_node.ts";
import { ONNXRUNTIME_WEB } from "./onnxruntime_web.ts";
import type { PeerForm } from "./peer.ts";
import { TFJS_WASM } from "./tfjs_wasm.ts";

export const PEERS: readonly PeerForm[] = [...ONNXRUNTIME_NODE, ...ONNXRUNTIME_WEB, JAX_JS, TFJS_WASM];
