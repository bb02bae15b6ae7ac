/**
 * The flags of the WebGPU specification as numbers by name, since type declarations for pages lack the
 * globals that hold them.
 */

/** The purposes of a buffer, as `GPUBufferUsage`. */
export const BufferUsage = {
  MAP_READ: 0x1,
  MAP_WRITE: 0x2,
  COPY_SRC: 0x4,
  COPY_DST: 0x8,
  UNIFORM: 0x40,
  STORAGE: 0x80,
  INDIRECT: 0x100,
  QUERY_RESOLVE: 0x200,
} as const;

/** The modes in which a buffer is mapped, as `GPUMapMode`. */
export const MapMode = { READ: 0x1 } as const;

/** The shader stage of a binding, as `GPUShaderStage`. */
export const ShaderStage = { COMPUTE: 0x4 } as const;
