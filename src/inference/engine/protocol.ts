/** What the engine's process is asked over the pipe that is its third file: what a thread is, and its memory. */
import type { Call, HostRequest } from '../carrier.ts';

export const CHANNEL = 3;

export type EngineRequest = HostRequest | { readonly id: number; readonly kind: 'memory' };
/** Without its id. */
export type EngineCall = Call | { readonly kind: 'memory' };
