"""What this machine is: pure readers of a sysfs tree, of SMBIOS bytes, of frames; `report` puts them together."""
