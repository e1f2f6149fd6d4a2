#!/usr/bin/env node
/** The command line's entry: `palate COMMAND`. What it does is in commands/. */
import { runProgram } from './commands/program.ts';

process.exitCode = await runProgram(process.argv.slice(2));
