/** The server's limits. */
export const MOST_INTERESTS = 10;
export const LONGEST_INTEREST = 32;

/** How an interest is compared and shown: without case, and without spaces that nobody sees. Empty when nothing is left. */
export function normalInterest(text: string): string {
  return text.normalize("NFC").trim().replace(/\s+/g, " ").toLowerCase();
}

/** How many characters the server would count. */
export function interestLength(text: string): number {
  return [...normalInterest(text)].length;
}

/** The interests with those of a line added, which commas part: each once, none too long, no more than there may be. */
export function withInterests(interests: readonly string[], line: string): string[] {
  const added = line
    .split(/[,;\n]/)
    .map(normalInterest)
    .filter((interest) => interest !== "" && [...interest].length <= LONGEST_INTEREST);
  return [...new Set([...interests, ...added])].slice(0, MOST_INTERESTS);
}
