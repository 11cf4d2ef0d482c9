// What Terraform and Metal3 do with Gophercloud, the OpenStack library of Go: log in by clouds.yaml, then a machine's life.
//
// main NAME IMAGE    makes the node NAME, takes it to active with IMAGE and away again; ends with 0 and one line of JSON.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud"
	"github.com/gophercloud/gophercloud/openstack"
	"github.com/gophercloud/gophercloud/openstack/baremetal/v1/allocations"
	"github.com/gophercloud/gophercloud/openstack/baremetal/v1/drivers"
	"github.com/gophercloud/gophercloud/openstack/baremetal/v1/nodes"
	"github.com/gophercloud/gophercloud/openstack/baremetal/v1/ports"
	"github.com/gophercloud/gophercloud/openstack/identity/v3/projects"
	"github.com/gophercloud/gophercloud/openstack/imageservice/v2/images"
	"github.com/gophercloud/utils/openstack/clientconfig"
)

const (
	microversion = "1.72"
	mac          = "52:54:00:67:6f:01"
	patience     = 60 * time.Second
)

func main() {
	seen := map[string]interface{}{}
	provider, err := clientconfig.AuthenticatedClient(nil)
	need("log in", err)
	region := gophercloud.EndpointOpts{Region: "RegionOne"}
	identity(provider, region, seen)
	image(provider, region, os.Args[2], seen)
	metal, err := openstack.NewBareMetalV1(provider, region)
	need("find bare metal in the catalogue", err)
	// This release of the library leaves the version to the catalogue; later ones add it.
	metal.ResourceBase = strings.TrimSuffix(metal.Endpoint, "/") + "/v1/"
	metal.Microversion = microversion
	machine(metal, os.Args[1], os.Args[2], seen)
	need("print", json.NewEncoder(os.Stdout).Encode(seen))
}

func identity(provider *gophercloud.ProviderClient, region gophercloud.EndpointOpts, seen map[string]interface{}) {
	client, err := openstack.NewIdentityV3(provider, region)
	need("find identity in the catalogue", err)
	pages, err := projects.List(client, nil).AllPages()
	need("list projects", err)
	found, err := projects.ExtractProjects(pages)
	need("read projects", err)
	names := []string{}
	for _, one := range found {
		names = append(names, one.Name)
	}
	seen["projects"] = names
}

func image(provider *gophercloud.ProviderClient, region gophercloud.EndpointOpts, name string, seen map[string]interface{}) {
	client, err := openstack.NewImageServiceV2(provider, region)
	need("find images in the catalogue", err)
	pages, err := images.List(client, images.ListOpts{Name: name}).AllPages()
	need("list images", err)
	found, err := images.ExtractImages(pages)
	need("read images", err)
	if len(found) != 1 || found[0].Status != images.ImageStatusActive {
		fail("the image", fmt.Errorf("%d images named %s", len(found), name))
	}
	seen["image"] = found[0].ID
}

func machine(client *gophercloud.ServiceClient, name string, image string, seen map[string]interface{}) {
	seen["driver"] = driver(client)
	made, err := nodes.Create(client, nodes.CreateOpts{
		Name: name, Driver: "fake-hardware", ResourceClass: "gopher",
		Properties: map[string]interface{}{"cpu_arch": "x86_64", "local_gb": 40},
	}).Extract()
	need("create", err)
	id := made.UUID
	port, err := ports.Create(client, ports.CreateOpts{NodeUUID: id, Address: mac}).Extract()
	need("create a port", err)
	changed, err := nodes.Update(client, id, nodes.UpdateOpts{
		nodes.UpdateOperation{Op: nodes.AddOp, Path: "/extra/rack", Value: "r1"},
		nodes.UpdateOperation{Op: nodes.ReplaceOp, Path: "/properties/local_gb", Value: 50},
		nodes.UpdateOperation{Op: nodes.AddOp, Path: "/instance_info", Value: map[string]string{"image_source": image}},
	}).Extract()
	need("update", err)
	seen["changed"] = []interface{}{changed.Extra["rack"], changed.Properties["local_gb"]}
	provision(client, id, nodes.ProvisionStateOpts{Target: nodes.TargetManage}, nodes.Manageable)
	provision(client, id, nodes.ProvisionStateOpts{Target: nodes.TargetInspect}, nodes.Manageable)
	provision(client, id, nodes.ProvisionStateOpts{Target: nodes.TargetProvide}, nodes.Available)
	seen["allocated"] = allocate(client, id)
	drive := nodes.ConfigDrive{MetaData: map[string]interface{}{"hostname": name}, UserData: "#cloud-config\n"}
	provision(client, id, nodes.ProvisionStateOpts{Target: nodes.TargetActive, ConfigDrive: drive}, nodes.Active)
	_, err = nodes.Validate(client, id).Extract()
	need("validate", err)
	need("reboot", nodes.ChangePowerState(client, id, nodes.PowerStateOpts{Target: nodes.Rebooting}).ExtractErr())
	seen["power"] = power(client, id)
	provision(client, id, nodes.ProvisionStateOpts{Target: nodes.TargetDeleted}, nodes.Available)
	seen["listed"] = listed(client, id)
	need("delete the port", ports.Delete(client, port.UUID).ExtractErr())
	need("delete", nodes.Delete(client, id).ExtractErr())
	_, err = nodes.Get(client, id).Extract()
	if _, isGone := err.(gophercloud.ErrDefault404); !isGone {
		fail("it is gone", fmt.Errorf("%v", err))
	}
}

func driver(client *gophercloud.ServiceClient) string {
	pages, err := drivers.ListDrivers(client, drivers.ListDriversOpts{}).AllPages()
	need("list drivers", err)
	found, err := drivers.ExtractDrivers(pages)
	need("read drivers", err)
	for _, one := range found {
		if one.Name == "fake-hardware" {
			details, err := drivers.GetDriverDetails(client, one.Name).Extract()
			need("show a driver", err)
			return details.Name
		}
	}
	fail("list drivers", fmt.Errorf("no fake-hardware"))
	return ""
}

func provision(client *gophercloud.ServiceClient, id string, wish nodes.ProvisionStateOpts, state nodes.ProvisionState) {
	need(string(wish.Target), nodes.ChangeProvisionState(client, id, wish).ExtractErr())
	for ends := time.Now().Add(patience); time.Now().Before(ends); time.Sleep(50 * time.Millisecond) {
		now, err := nodes.Get(client, id).Extract()
		need("get", err)
		if now.ProvisionState == string(state) && now.TargetProvisionState == "" {
			return
		}
		if now.LastError != "" {
			fail(string(wish.Target), fmt.Errorf("%s", now.LastError))
		}
	}
	fail(string(wish.Target), fmt.Errorf("not %s in time", state))
}

func allocate(client *gophercloud.ServiceClient, id string) bool {
	made, err := allocations.Create(client, allocations.CreateOpts{ResourceClass: "gopher", CandidateNodes: []string{id}}).Extract()
	need("allocate", err)
	found, err := allocations.Get(client, made.UUID).Extract()
	need("show an allocation", err)
	need("give up the allocation", allocations.Delete(client, made.UUID).ExtractErr())
	return found.State == "active" && found.NodeUUID == id
}

func power(client *gophercloud.ServiceClient, id string) string {
	for ends := time.Now().Add(patience); time.Now().Before(ends); time.Sleep(50 * time.Millisecond) {
		now, err := nodes.Get(client, id).Extract()
		need("get", err)
		if now.TargetPowerState == "" {
			return now.PowerState
		}
	}
	return "still changing"
}

func listed(client *gophercloud.ServiceClient, id string) bool {
	pages, err := nodes.ListDetail(client, nodes.ListOpts{ResourceClass: "gopher", Limit: 1}).AllPages()
	need("list", err)
	found, err := nodes.ExtractNodes(pages)
	need("read the list", err)
	return len(found) == 1 && found[0].UUID == id
}

func need(what string, err error) {
	if err != nil {
		fail(what, err)
	}
}

func fail(what string, err error) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
	os.Exit(1)
}
