/** What the engine's process is asked: what a thread is, and its memory. */
import type { Call, HostRequest } from '../carrier.ts';

/** Files of the process: the pipe, and the area that its parent puts tensors into. */
export const [CHANNEL, AREA] = [3, 4] as const;

export type EngineRequest = HostRequest | { readonly id: number; readonly kind: 'memory' };
/** Without its id. */
export type EngineCall = Call | { readonly kind: 'memory' };
