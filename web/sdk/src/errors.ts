/** A refusal of the server: `code` is for programs, `message` is a sentence for people. */
export class ParlorError extends Error {
  readonly code: string;
  /** Waiting this long helps; null when it does not. */
  readonly retryAfterMs: number | null;
  /** Numbers that belong to the refusal: a limit, a length, a field's name. */
  readonly detail: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, retryAfterMs?: number | null, detail?: Record<string, unknown>) {
    super(message);
    this.name = "ParlorError";
    this.code = code;
    this.retryAfterMs = retryAfterMs ?? null;
    this.detail = detail ?? {};
  }
}

/** The socket went away before the answer came. What was asked may or may not have happened. */
export class ConnectionLost extends Error {
  constructor() {
    super("The connection was lost before the answer came.");
    this.name = "ConnectionLost";
  }
}
