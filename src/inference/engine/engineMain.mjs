/**
 * Starts engineMain.ts where the code runs from source (tests, scripts): a process that is started does not take over the
 * TypeScript loader of the one that starts it. Not part of the build.
 */
import { importSource } from '../../fromSource.mjs';

await importSource(new URL('./engineMain.ts', import.meta.url).href);
