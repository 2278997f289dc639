package holdfast

// Owners and assets in JSON and other texts are what they are in the API. Nobody and nothing are "".

// MarshalText gives the 16 digits, or "" for nobody.
func (o Owner) MarshalText() ([]byte, error) {
	if o == 0 {
		return nil, nil
	}
	return []byte(o.String()), nil
}

// UnmarshalText reads what MarshalText gives; the errors are those of [ParseOwner].
func (o *Owner) UnmarshalText(text []byte) (err error) {
	if *o = 0; len(text) > 0 {
		*o, err = ParseOwner(string(text))
	}
	return err
}

// MarshalText gives the name, or "" for the zero Asset.
func (a Asset) MarshalText() ([]byte, error) {
	if a == 0 {
		return nil, nil
	}
	return []byte(a.String()), nil
}

// UnmarshalText reads what MarshalText gives; the errors are those of [ParseAsset].
func (a *Asset) UnmarshalText(text []byte) (err error) {
	if *a = 0; len(text) > 0 {
		*a, err = ParseAsset(string(text))
	}
	return err
}
