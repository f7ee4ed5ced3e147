"""The protocol's words: tables, types, codec, blocks, errors and the one link. No Django."""
