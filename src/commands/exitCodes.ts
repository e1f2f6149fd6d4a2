/** What the command line's exit status says to a script. */
export const EXIT = {
  done: 0,
  failed: 1,
  /** The arguments or settings are wrong: nothing was started. */
  usage: 2,
  /** The rest was done; what was left out is named on stderr. */
  partly: 3,
} as const;

export const EXIT_CODE_HELP = `Exit status: ${EXIT.done} done, ${EXIT.failed} failed, ${EXIT.usage} wrong arguments or settings, ${EXIT.partly} done but for the files named on stderr.`;
