/**
 * Starts sessionThread.ts where the code runs from source (tests, scripts): a thread does not take over the TypeScript
 * loader of the one that starts it, `--import tsx` included. Not part of the build.
 */
import { importSource } from '../fromSource.mjs';

await importSource(new URL('./sessionThread.ts', import.meta.url).href);
