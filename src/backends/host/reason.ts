// Why a backend was taken, where nobody chose.

/** The reason for a backend that nobody chose. */
export const GIVEN = "given by the caller";
