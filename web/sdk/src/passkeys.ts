import { ParlorError } from "./errors.js";

/** What the server asks the browser: the argument of `navigator.credentials`, with its bytes in base64url (Web Authentication, 5.1). */
export interface Asked {
  challengeId: string;
  options: { publicKey: Record<string, unknown> };
}

/** What a browser answers, with its bytes in base64url. */
export type PasskeyAnswer = Record<string, unknown>;

/** Whether this browser knows passkeys; on a page without TLS it does not. */
export function havePasskeys(): boolean {
  return typeof globalThis.PublicKeyCredential === "function" && Boolean(globalThis.navigator?.credentials);
}

/** Has the browser make a passkey. Throws `passkey_cancelled`, or `passkey_known` where the device has one already. */
export async function createPasskey({ options }: Asked): Promise<PasskeyAnswer> {
  const { publicKey } = options;
  const made = await asking(() =>
    navigator.credentials.create({
      publicKey: {
        ...publicKey,
        challenge: bytesOf(publicKey.challenge),
        user: { ...(publicKey.user as object), id: bytesOf((publicKey.user as { id: string }).id) },
        excludeCredentials: described(publicKey.excludeCredentials),
      } as unknown as PublicKeyCredentialCreationOptions,
    }),
  );
  const response = made.response as AuthenticatorAttestationResponse;
  return {
    ...base(made),
    response: {
      clientDataJSON: base64url(response.clientDataJSON),
      attestationObject: base64url(response.attestationObject),
      transports: response.getTransports?.() ?? [],
    },
  };
}

/** Has the browser show a passkey. Throws `passkey_cancelled`. */
export async function showPasskey({ options }: Asked): Promise<PasskeyAnswer> {
  const { publicKey } = options;
  const shown = await asking(() =>
    navigator.credentials.get({
      publicKey: {
        ...publicKey,
        challenge: bytesOf(publicKey.challenge),
        allowCredentials: described(publicKey.allowCredentials),
      } as PublicKeyCredentialRequestOptions,
    }),
  );
  const response = shown.response as AuthenticatorAssertionResponse;
  return {
    ...base(shown),
    response: {
      clientDataJSON: base64url(response.clientDataJSON),
      authenticatorData: base64url(response.authenticatorData),
      signature: base64url(response.signature),
      userHandle: response.userHandle ? base64url(response.userHandle) : null,
    },
  };
}

/** RFC 4648, section 5, without padding. */
export function base64url(bytes: ArrayBuffer): string {
  const letters = Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** What `base64url` wrote. */
export function bytesOf(text: unknown): Uint8Array<ArrayBuffer> {
  const letters = atob(String(text).replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
}

function described(list: unknown): object[] {
  return ((list as { id: string }[] | undefined) ?? []).map((one) => ({ ...one, id: bytesOf(one.id) }));
}

function base(credential: PublicKeyCredential): PasskeyAnswer {
  const { id, rawId, type } = credential;
  return { id, rawId: base64url(rawId), type, extensions: credential.getClientExtensionResults() };
}

/** Browsers say little of why there is no passkey, so that pages learn nothing about those that one has. */
async function asking(ask: () => Promise<Credential | null>): Promise<PublicKeyCredential> {
  const cancelled = () => new ParlorError("passkey_cancelled", "No passkey was used.");
  try {
    const credential = await ask();
    if (credential) return credential as PublicKeyCredential;
  } catch (error) {
    if (error instanceof DOMException && error.name === "InvalidStateError")
      throw new ParlorError("passkey_known", "This device has a passkey of this account already.");
    throw cancelled();
  }
  throw cancelled();
}
