#!/usr/bin/env node
/** The command line's entry: `palate COMMAND`. What it does is in commands/. */
import { runProgram } from './commands/program.ts';

// A reader that has read enough (`palate rank … | head`) closes the pipe: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

process.exitCode = await runProgram(process.argv.slice(2));
