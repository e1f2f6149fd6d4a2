/** Runs the program as a shell would, and tells how it ended. */
import { execFile } from 'node:child_process';
import { PROGRAM } from '../../bench/support/service.ts';

export interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function palate(
  args: readonly string[],
  { cwd, environment = {} }: { cwd?: string; environment?: Record<string, string> } = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [...PROGRAM, ...args],
      { cwd, env: { ...process.env, ...environment } },
      (error, stdout, stderr) => resolve({ status: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}
